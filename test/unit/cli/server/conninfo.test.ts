/** The pure parts of the connection settings. That they read as libpq does is shown beside psql, in the integration tests. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redactSecrets } from '../../../../src/postgres/errors/redact.js';
import {
  afterFailure,
  encryptions,
  failureKind,
  passes,
  unsuitable,
} from '../../../../src/cli/server/session/attempts.js';
import { AuthState } from '../../../../src/cli/server/session/auth-guard.js';
import { hostLabel, parseHosts } from '../../../../src/cli/server/conninfo/hosts.js';
import type { Parameters } from '../../../../src/cli/server/conninfo/parameters.js';
import { parsePairs } from '../../../../src/cli/server/conninfo/parse-pairs.js';
import { parseUrl } from '../../../../src/cli/server/conninfo/parse-url.js';
import { fastCheckRuns } from '../../../support/test-runs.js';
import { findPassword } from '../../../../src/cli/server/conninfo/password-file.js';
import { parseRequireAuth } from '../../../../src/cli/server/conninfo/require-auth.js';
import { parseService } from '../../../../src/cli/server/conninfo/service-file.js';
import { parseStartUpOptions } from '../../../../src/cli/server/conninfo/start-up-options.js';
import { startUpPacket } from '../../../../src/cli/server/session/session-client.js';

/** Well-formed, without a zero byte, which no setting may hold. */
const text = fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''));
const oneLine = text.map((value) => value.replace(/[\r\n]/g, ''));
const nonEmpty = text.filter((value) => value !== '');

describe('a connection string of pairs', () => {
  it('gives back whatever was quoted into it', () => {
    fc.assert(
      fc.property(fc.record({ dbname: text, user: text, password: text }), (parameters: Parameters) => {
        const pairs = Object.entries(parameters).map(
          ([name, value]) => `${name} = '${value.replace(/[\\']/g, '\\$&')}'`,
        );
        expect(parsePairs(pairs.join(' '), '--to')).toEqual(parameters);
      }),
    );
  });

  it('gives back whatever was escaped into it without quotes', () => {
    fc.assert(
      fc.property(nonEmpty, (value) => {
        const escaped = value.replace(/[\\'\s]/g, '\\$&');
        expect(parsePairs(`user=${escaped} dbname=x`, '--to')).toEqual({ user: value, dbname: 'x' });
      }),
    );
  });
});

describe('a connection URL', () => {
  it('gives back whatever was percent-encoded into it', () => {
    fc.assert(
      fc.property(nonEmpty, nonEmpty, nonEmpty, nonEmpty, (user, password, dbname, name) => {
        const [u, p, d, a] = [user, password, dbname, name].map(encodeURIComponent) as [
          string,
          string,
          string,
          string,
        ];
        const parameters = parseUrl(`postgres://${u}:${p}@h:1/${d}?application_name=${a}`, '--to');
        expect(parameters).toEqual({ user, password, host: 'h', port: '1', dbname, application_name: name });
      }),
    );
  });

  it('never shows a password in an error, however it is written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('/', '?', '#', '@', ':', '%', '&', '=', ',', '[', ' ', '12', 'x'), {
          maxLength: 8,
        }),
        fc.constantFrom('postgres://', 'postgresql://', 'postgres:', 'postgres//'),
        (parts, scheme) => {
          const password = `${parts.join('')}SECRET${parts.reverse().join('')}`;
          const url = `${scheme}u:${password}@h/d?sslmode=require`;
          try {
            const { password: found, host = '', dbname = '' } = parseUrl(url, '--to');
            // What is shown of a server.
            if (found === undefined) expect(`${host}${dbname}`).not.toContain('SECRET');
          } catch (error) {
            expect(String(error)).not.toContain('SECRET');
          }
          expect(redactSecrets(`the name "${url}" does not say its format`)).not.toContain('SECRET');
        },
      ),
      fastCheckRuns(2_000),
    );
  });

  it('never shows a password that looks like the end of a URL', () => {
    expect(redactSecrets('cannot open postgres://u://:SECRET://@h/d')).toBe('cannot open postgres://…');
    expect(redactSecrets('such as postgres://user@host/d')).toBe('such as postgres://user@host/d');
  });
});

describe('a password that ends too early', () => {
  it.each([
    () => parsePairs("host=h password='it'sSECRET=1", '--to'),
    () => parsePairs('host=h password=my SECRET=1', '--to'),
    () => parseUrl('postgres://u@h/d?password=a&SECRET=1', '--to'),
  ])('does not show its rest: %s', (parse) => {
    expect(parse).toThrow(/it is not shown/);
  });

  it('hides no wrong name elsewhere', () => {
    expect(() => parsePairs("host=h password='a' sslmod=b", '--to')).toThrow(/"sslmod"/);
    expect(() => parseUrl('postgres://u@h/d?password=a&port=1&sslmod=b', '--to')).toThrow(/"sslmod"/);
  });
});

describe('redaction', () => {
  it.each([
    ['postgres://u:p@h/d: no', 'postgres://… no'],
    ['see postgres://h/d', 'see postgres://h/d'],
    ['give postgres://user@host:5432/database, or', 'give postgres://user@host:5432/database, or'],
    ['postgres://user@host, postgres://u:p@h/d no', 'postgres://… no'],
    ['sslmode=requirepassword=abc x', 'sslmode=requirepassword=… x'],
    [`host=h password='a b' dbname=d`, 'host=h password=… dbname=d'],
    ['?password=abc&x=1', '?password=…&x=1'],
    [String.raw`password='it\'s SECRET' dbname=d`, 'password=… dbname=d'],
    [String.raw`password=my\ SECRET dbname=d`, 'password=… dbname=d'],
    [`password=it'sSECRET dbname=d`, 'password=… dbname=d'],
    ['password=this&SECRET dbname=d', 'password=… dbname=d'],
    [JSON.stringify(String.raw`password='it\'s SECRET' dbname=d`), '"password=… dbname=d"'],
    [JSON.stringify(String.raw`password=my\ SECRET dbname=d`), '"password=… dbname=d"'],
    [JSON.stringify('password=the"SECRET dbname=d'), '"password=… dbname=d"'],
    ['the name "password=abc" says', 'the name "password=…" says'],
    ['role "postgres" does not exist', 'role "postgres" does not exist'],
    ['a@b and c@d', 'a@b and c@d'],
  ])('redaction of %j is %j', (given, expected) => {
    expect(redactSecrets(given)).toBe(expected);
  });

  it('takes linear time', () => {
    const started = performance.now();
    redactSecrets(`postgres: ${'postgres:'.repeat(200_000)}password='${"password='".repeat(200_000)}`);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('a password file', () => {
  it('gives back whatever was escaped into it', () => {
    const escape = (value: string): string => value.replace(/[\\:]/g, '\\$&');
    fc.assert(
      fc.property(oneLine, oneLine, oneLine, oneLine, (host, database, user, password) => {
        fc.pre(!host.startsWith('#') && host !== '*' && database !== '*' && user !== '*');
        const line = [host, '5432', database, user, password].map(escape).join(':');
        const key = { host, port: '5432', database, user };
        expect(findPassword(`*:1:*:*:other\n${line}\n`, key)).toBe(password);
        expect(findPassword(line, { ...key, port: '5433' })).toBeUndefined();
        expect(findPassword(line, { ...key, user: `${user}x` })).toBeUndefined();
      }),
    );
  });

  it('takes the first line that fits', () => {
    const key = { host: 'h', port: '1', database: 'd', user: 'u' };
    expect(findPassword('#h:1:d:u:comment\nh:1:d:x:a\nh:*:d:u:b:rest\n*:*:*:*:c', key)).toBe('b');
    expect(findPassword('', key)).toBeUndefined();
  });

  it('may have the colons of an address as they are', () => {
    const key = { host: '::1', port: '1', database: 'd', user: 'u' };
    expect(findPassword('::1:1:d:u:a', key)).toBe('a');
    expect(findPassword('\\:\\:1:1:d:u:b', key)).toBe('b');
    expect(findPassword('::2:1:d:u:a', key)).toBeUndefined();
  });
});

describe('options', () => {
  it('become settings of their own, whatever their values hold', () => {
    const name = fc.stringMatching(/^[a-z][a-z_.]{0,8}x$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text, fc.constantFrom('-c ', '-c', '--'))), (given) => {
        const words = given.map(
          ([key, value, flag]) => `${flag}${`${key}=${value}`.replace(/[\s\\]/g, '\\$&')}`,
        );
        expect(parseStartUpOptions(words.join(' '))).toEqual({
          settings: given.map(([key, value]) => [key, value]),
          hasOthers: false,
        });
      }),
    );
  });

  it.each(['-e', '-c user=x', '-c nothing', '--x', '-S 9000', 'a\\ b'])(
    'that are no settings are left to the server with all others: %s',
    (other) => {
      expect(parseStartUpOptions(`-c a-b=1 ${other}`)).toEqual({
        settings: [['a_b', '1']],
        hasOthers: true,
      });
    },
  );

  it('options that repeat a name are distinguished by its case in the start-up packet', () => {
    const startUp = [
      ['datestyle', 'German'],
      ['datestyle', 'YMD'],
      ['DateStyle', 'SQL'],
      ['datestyle', 'DMY'],
    ] as const;
    expect(Object.entries(startUpPacket({ user: 'u', database: 'd', startUp })).slice(2)).toEqual([
      ['datestyle', 'German'],
      ['Datestyle', 'YMD'],
      ['DateStyle', 'SQL'],
      ['dAtestyle', 'DMY'],
    ]);
  });
});

describe('a service file', () => {
  it('gives the first of equal names, of the first section of the name', () => {
    const file = '# x\n[a]\nhost=1\n [b] \nhost=2\nhost=3\n\nuser= x y \n[b]\nport=9\n';
    expect(parseService(file, 'b', 'f')).toEqual({ host: '2', user: ' x y' });
    expect(parseService(file, 'c', 'f')).toBeUndefined();
  });

  it.each([
    ['[a]\nhost', /f, line 2: expected NAME=VALUE/],
    ['[a]\nsslmod=x', /f, line 2: expected NAME=VALUE/],
    ['[a]\nservice=b', /f, line 2: a service cannot name another/],
    ['[a]\nldap://x', /f, line 2: LDAP is not supported/],
    [`[a]\n#${'x'.repeat(1100)}`, /f, line 2: the line is too long/],
  ])('%j is refused with its line', (file, reason) => {
    expect(() => parseService(file, 'a', 'f')).toThrow(reason);
  });
});

describe('hosts', () => {
  it('share one port, or have one each; none is localhost', () => {
    expect(parseHosts({}).map(hostLabel)).toEqual(['localhost:5432']);
    expect(parseHosts({ host: 'a,b', port: '7' }).map(hostLabel)).toEqual(['a:7', 'b:7']);
    expect(parseHosts({ host: 'a,,/tmp', port: '7,,8' }).map(hostLabel)).toEqual([
      'a:7',
      'localhost:5432',
      '/tmp:8',
    ]);
    expect(parseHosts({ host: 'a', hostaddr: '::1' }).map(hostLabel)).toEqual(['[::1]:5432']);
    expect(() => parseHosts({ host: 'a,b', port: '1,2,3' })).toThrow(/port has 3 entries for 2 hosts/);
  });
});

describe('what is tried next', () => {
  const serverError = (code: string): Error => Object.assign(new Error('no'), { code, severity: 'FATAL' });

  it('goes by the kind of the failure', () => {
    expect(failureKind(serverError('28P01'), 'tls')).toBe('refused');
    expect(failureKind(serverError('57P03'), 'plain')).toBe('unavailable');
    expect(failureKind(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'tls')).toBe('unreachable');
    expect(failureKind(new Error('Connection terminated due to connection timeout'), 'tls')).toBe(
      'unreachable',
    );
    expect(failureKind(new Error('The server does not support SSL connections'), 'tls')).toBe('tls');
    expect(failureKind(Object.assign(new Error('x'), { code: 'SELF_SIGNED_CERT_IN_CHAIN' }), 'tls')).toBe(
      'tls',
    );
    expect(failureKind(new Error('asks for a password'), 'plain')).toBe('fatal');
  });

  it('tries the other encryption after a refusal, and other servers only when one cannot be used', () => {
    expect(afterFailure('refused', false)).toBe('other-encryption');
    expect(afterFailure('refused', true)).toBe('stop');
    expect(afterFailure('tls', true)).toBe('stop');
    expect(afterFailure('unreachable', false)).toBe('next-address');
    expect(afterFailure('unavailable', false)).toBe('next-host');
    expect(afterFailure('fatal', false)).toBe('stop');
  });

  it('never goes without TLS when sslmode asks for it, and never with TLS through a socket', () => {
    for (const mode of ['require', 'verify-ca', 'verify-full'] as const)
      expect(encryptions(mode, false)).toEqual(['tls']);
    expect(encryptions('disable', false)).toEqual(['plain']);
    expect(encryptions('verify-full', true)).toEqual(['plain']);
  });

  it('takes a standby first for prefer-standby, then any server', () => {
    expect(passes('prefer-standby')).toEqual(['standby', 'any']);
    expect(unsuitable('standby', { isStandby: false, isReadOnly: true })).toBe('the server is not a standby');
    expect(unsuitable('any', { isStandby: true, isReadOnly: true })).toBeUndefined();
  });
});

describe('require_auth', () => {
  const methods = ['password', 'md5', 'gss', 'sspi', 'scram-sha-256', 'oauth'] as const;

  it('allows the methods it names, or all but those with !', () => {
    fc.assert(
      fc.property(fc.subarray(['none', ...methods], { minLength: 1 }), fc.boolean(), (named, isNegated) => {
        const requirement = parseRequireAuth(named.map((name) => `${isNegated ? '!' : ''}${name}`).join(','));
        for (const method of methods)
          expect(requirement.allows(method)).toBe(named.includes(method) !== isNegated);
        expect(requirement.isRequired).toBe(named.includes('none') === isNegated);
      }),
    );
  });

  it('refuses a method twice, and ! beside methods without it', () => {
    for (const wrong of ['md5,md5', '!none,!none', 'none,!md5', 'x', 'md5,', '!']) {
      expect(() => parseRequireAuth(wrong)).toThrow(/require_auth/);
    }
  });

  it('takes SCRAM only when the server has proved itself', () => {
    const policy = { requireAuth: parseRequireAuth('scram-sha-256'), requiresChannelBinding: false };
    const state = new AuthState(policy);
    expect(state.request('authenticationSASL', ['SCRAM-SHA-256'])).toBeUndefined();
    expect(state.accepted()).toMatch(/without authentication/);
    const whole = new AuthState({ ...policy, requiresChannelBinding: true });
    expect(whole.request('authenticationSASL', ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])).toBeUndefined();
    expect(whole.request('authenticationSASLContinue')).toBeUndefined();
    expect(whole.request('authenticationSASLFinal')).toBeUndefined();
    expect(whole.accepted()).toBeUndefined();
  });
});
