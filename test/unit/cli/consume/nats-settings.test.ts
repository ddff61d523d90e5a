import { describe, expect, it } from 'vitest';
import { natsSettings } from '../../../../src/cli/consume/nats-settings.js';

const NOTHING = {
  creds: undefined,
  nkey: undefined,
  tlsca: undefined,
  tlscert: undefined,
  tlskey: undefined,
};

type Flags = Partial<Parameters<typeof natsSettings>[0]>;

const settings = (flags: Flags, environment: Record<string, string> = {}) =>
  natsSettings({ ...NOTHING, servers: ['nats://h'], ...flags }, environment);

describe('servers', () => {
  it.each([
    [['nats://h'], ['h:4222']],
    [['h'], ['h:4222']],
    [['nats://h:14222/'], ['h:14222']],
    [['nats://a,nats://b:1'], ['a:4222', 'b:1']],
    [
      ['nats://a', 'b:2'],
      ['a:4222', 'b:2'],
    ],
    [['nats://[::1]:4223'], ['[::1]:4223']],
  ])('%j are read', (servers, expected) => {
    expect(settings({ servers }).servers).toEqual(expected);
  });

  it('are those of NATS_URL if none is given, and only then', () => {
    expect(settings({ servers: [] }, { NATS_URL: 'tls://c:1' })).toMatchObject({
      servers: ['c:1'],
      needsTls: true,
    });
    expect(settings({}, { NATS_URL: 'tls://c:1' })).toMatchObject({ servers: ['h:4222'], needsTls: false });
  });

  it.each([
    [[], /no NATS server is named/],
    [['ws://h'], /WebSockets are not supported/],
    [['nats://h:0'], /must be nats:\/\/host:4222/],
    [['nats://h:99999'], /must be nats:\/\/host:4222/],
    [['nats://h/path'], /must be nats:\/\/host:4222/],
    [['nats://'], /must be nats:\/\/host:4222/],
    [['http://h'], /must be nats:\/\/host:4222/],
    [['nats://a:sEcReT@h', 'nats://b:sEcReT@g'], /name different users/],
    [['nats://u:sEcReT@h h'], /got "h h"/],
    [['nats://u:sEcReT%@h'], /write %25/],
  ])('%j are refused without a secret', (servers, message) => {
    const refused = () => settings({ servers });
    expect(refused).toThrow(message);
    expect(refused).not.toThrow(/sEcReT/);
  });
});

describe('who connects', () => {
  const none = { kind: 'none' };

  it.each<[Flags, Record<string, string>, object]>([
    [{}, {}, none],
    [{ servers: ['nats://u:p%40ss@h'] }, {}, { kind: 'password', user: 'u', password: 'p@ss' }],
    [{ servers: ['nats://u:p@ss@h'] }, {}, { kind: 'password', user: 'u', password: 'p@ss' }],
    [{ servers: ['nats://t0ken@h'] }, {}, { kind: 'token', token: 't0ken' }],
    [{ servers: ['nats://u:p@h', 'nats://g'] }, {}, { kind: 'password', user: 'u', password: 'p' }],
    [{}, { NATS_USER: 'u', NATS_PASSWORD: 'p' }, { kind: 'password', user: 'u', password: 'p' }],
    [{}, { NATS_TOKEN: 't' }, { kind: 'token', token: 't' }],
    [{}, { NATS_CREDS: 'f' }, { kind: 'creds', file: { path: 'f', source: 'NATS_CREDS' } }],
    [
      { creds: 'g' },
      { NATS_CREDS: 'f', NATS_TOKEN: 't' },
      { kind: 'creds', file: { path: 'g', source: '--creds' } },
    ],
    [{ nkey: 'n' }, {}, { kind: 'nkey', file: { path: 'n', source: '--nkey' } }],
    [{ servers: ['nats://u:p@h'] }, { NATS_TOKEN: 't' }, { kind: 'password', user: 'u', password: 'p' }],
    [{}, { NATS_TOKEN: '' }, none],
  ])('%j with %j', (flags, environment, expected) => {
    expect(settings(flags, environment).identity).toEqual(expected);
  });

  it.each<[Flags, Record<string, string>, RegExp]>([
    [{ creds: 'f', servers: ['nats://u:p@h'] }, {}, /--creds and the server's URL exclude each other/],
    [{}, { NATS_USER: 'u', NATS_TOKEN: 't' }, /NATS_USER and NATS_TOKEN exclude each other/],
  ])('%j with %j is refused', (flags, environment, message) => {
    expect(() => settings(flags, environment)).toThrow(message);
  });
});
