import { describe, expect, it } from 'vitest';
import { resolveDestination } from '../../../../src/cli/server/destination.js';
import { UsageError } from '../../../../src/cli/common/errors.js';

const SECRET = 'sEcReT';

describe('the destination', () => {
  it('is --to before DATABASE_URL before the PG* variables', () => {
    const environment = {
      DATABASE_URL: 'postgres://b.example/two',
      PGHOST: 'c.example',
      PGDATABASE: 'three',
    };
    expect(resolveDestination('postgres://a.example/one', environment)).toEqual({
      kind: 'server',
      text: 'postgres://a.example/one',
      where: '--to',
    });
    expect(resolveDestination(undefined, environment)).toEqual({
      kind: 'server',
      text: 'postgres://b.example/two',
      where: 'DATABASE_URL',
    });
    expect(resolveDestination(undefined, { ...environment, DATABASE_URL: '' })).toEqual({
      kind: 'server',
      text: undefined,
      where: 'PG*',
    });
  });

  it.each(['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGSERVICE'])(
    'can come from %s alone',
    (name) => {
      expect(resolveDestination(undefined, { [name]: '7' })).toMatchObject({ kind: 'server', where: 'PG*' });
    },
  );

  it('is never guessed: without any the error names every way, the embedded server among them', () => {
    for (const environment of [{}, { PGPASSWORD: 'x' }, { DATABASE_URL: '', PGHOST: '' }]) {
      const resolve = () => resolveDestination(undefined, environment);
      expect(resolve).toThrow(UsageError);
      expect(resolve).toThrow(/--to postgres:.*DATABASE_URL.*PG\* variables.*--to embedded/);
    }
  });

  it('can be the embedded server, with a directory', () => {
    expect(resolveDestination('embedded', {})).toEqual({ kind: 'embedded', dataDirectory: undefined });
    expect(resolveDestination('embedded:/data/pg:1', {})).toEqual({
      kind: 'embedded',
      dataDirectory: '/data/pg:1',
    });
    expect(() => resolveDestination('embedded:', {})).toThrow(/lacks a directory/);
  });

  it('can be name=value pairs', () => {
    expect(resolveDestination('host=a.example dbname=one', {})).toMatchObject({ kind: 'server' });
  });

  it.each([
    `mysql://u:${SECRET}@h/d`,
    `u:${SECRET}@h`,
    `postgres//u:${SECRET}@h`,
    `postgres:u:${SECRET}@h/d`,
    `postgres:u:${SECRET}@h/d?sslmode=require`,
    `postgres://u:x@/${SECRET}@h/d`,
    `postgres://u:${SECRET}/x@h/d`,
    `postgres://u:12/${SECRET}@h/d`,
    `postgres://u:x@${SECRET}@h/d`,
    `postgres://u:x/y?${SECRET}@h/d`,
    `postgres://u:x/y?${SECRET}=1@h/d`,
    `postgres://u:12/y?${SECRET}=1@h/d`,
    `postgres://u:%zz${SECRET}@h/d`,
    `postgres://u:${SECRET}@[::1/d`,
    `postgres://u@h/d?password=a=${SECRET}`,
    `host=h password=a ${SECRET} dbname=d`,
    `host=h password=a ${SECRET}=b`,
    `host=h password='a${SECRET}`,
    SECRET,
  ])('refuses a text that cannot be read, and does not repeat it: %#', (text) => {
    for (const resolve of [
      () => resolveDestination(text, {}),
      () => resolveDestination(undefined, { DATABASE_URL: text }),
    ]) {
      expect(resolve).toThrow(UsageError);
      try {
        resolve();
      } catch (error) {
        expect(String((error as Error).stack)).not.toContain(SECRET);
      }
    }
  });
});
