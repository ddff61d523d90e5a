import { describe, expect, it } from 'vitest';
import { resolveDestination } from '../../../src/cli/destination.js';
import { UsageError } from '../../../src/cli/errors.js';

const SECRET = 'sEcReT';

describe('the destination', () => {
  it('is --to before DATABASE_URL before the PG* variables', () => {
    const environment = {
      DATABASE_URL: 'postgres://b.example/two',
      PGHOST: 'c.example',
      PGDATABASE: 'three',
    };
    expect(resolveDestination('postgres://a.example/one', environment)).toMatchObject({
      kind: 'url',
      label: 'a.example:5432/one',
    });
    expect(resolveDestination(undefined, environment)).toMatchObject({
      kind: 'url',
      label: 'b.example:5432/two',
    });
    expect(resolveDestination(undefined, { ...environment, DATABASE_URL: '' })).toEqual({
      kind: 'environment',
      label: 'c.example:5432/three',
    });
  });

  it.each(['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER'])('can come from %s alone', (name) => {
    expect(resolveDestination(undefined, { [name]: '7' }).kind).toBe('environment');
  });

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

  it.each([
    [`postgres://u:${SECRET}@db.example:6543/shop?sslmode=require`, 'db.example:6543/shop'],
    [`postgresql://u:${SECRET}@db.example`, 'db.example:5432'],
    [`postgres:///shop?host=/run/postgresql&password=${SECRET}`, '/run/postgresql:5432/shop'],
    [`postgres://u:${SECRET}@/shop?host=/run/postgresql`, '/run/postgresql:5432/shop'],
    [`postgres://u:${SECRET}@[::1]/shop`, '[::1]:5432/shop'],
    [`postgres://db.example/%zz`, 'db.example:5432/%zz'],
  ])('shows host, port and database of a URL, and nothing else: %#', (url, label) => {
    const destination = resolveDestination(url, {});
    expect(destination).toMatchObject({ kind: 'url', label });
  });

  it.each([
    `mysql://u:${SECRET}@h/d`,
    `u:${SECRET}@h`,
    `postgres//u:${SECRET}@h`,
    `postgres://u:x@/${SECRET}@h/d`,
    SECRET,
  ])('refuses what is no PostgreSQL URL without repeating it: %#', (url) => {
    for (const resolve of [
      () => resolveDestination(url, {}),
      () => resolveDestination(undefined, { DATABASE_URL: url }),
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
