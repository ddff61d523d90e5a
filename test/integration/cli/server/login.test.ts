/** What a server may ask for, and when: no password goes to one that asks in a way or at a time that the settings do not allow. */

import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../../../src/cli/server/connection.js';
import { CliError } from '../../../../src/cli/common/errors.js';
import {
  ASK_CLEARTEXT,
  ASK_MD5,
  ASK_SCRAM,
  LOGIN_OK,
  message,
  READY,
  startScriptedServer,
  type ScriptedServer,
} from '../../../support/scripted-server.js';

const SECRET = 'sEcReT';
let server: ScriptedServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function logIn(answers: Buffer[], more = '', answerToTls?: Buffer): Promise<CliError | undefined> {
  server = await startScriptedServer(answers, answerToTls);
  const text = `host=127.0.0.1 port=${server.port} user=u password=${SECRET} dbname=d connect_timeout=5 ${more}`;
  try {
    const connection = await connect({ kind: 'server', text, where: '--to' }, 1, { HOME: '/nowhere' });
    await connection.close();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(CliError);
    expect((error as CliError).message).not.toContain(SECRET);
    return error as CliError;
  }
}

function sentSecret(): boolean {
  return Buffer.concat(server!.bytes).includes(SECRET);
}

/** The answer to `SELECT 1`. */
const DONE = Buffer.concat([message('C', 'SELECT 0'), READY]);
const LOGGED_IN = Buffer.concat([LOGIN_OK, READY]);

describe('a request for a password in clear', () => {
  it('is answered during the login, as by libpq', async () => {
    expect(await logIn([ASK_CLEARTEXT, LOGGED_IN, DONE])).toBeUndefined();
    expect(sentSecret()).toBe(true);
  });

  it.each([
    'require_auth=scram-sha-256',
    'require_auth=md5,none',
    'require_auth=!password',
    'channel_binding=require',
  ])('gets no password with %s', async (more) => {
    const error = await logIn([ASK_CLEARTEXT, LOGGED_IN, DONE], more);
    expect(error?.message).toContain('the server asks for a password in clear');
    expect(sentSecret()).toBe(false);
  });

  it.each([
    ['in place of an answer to a query', [LOGGED_IN, ASK_CLEARTEXT]],
    ['right after the login', [Buffer.concat([LOGIN_OK, ASK_CLEARTEXT])]],
    ['in one packet with the end of the login', [Buffer.concat([LOGIN_OK, ASK_CLEARTEXT, READY]), DONE]],
    ['as MD5', [LOGGED_IN, ASK_MD5]],
    ['as SCRAM', [LOGGED_IN, ASK_SCRAM]],
  ])('gets no password %s', async (_, answers) => {
    const error = await logIn(answers);
    expect(error?.message).toMatch(
      /^127\.0\.0\.1:\d+\/d: the server broke the protocol: (?:CleartextPassword|MD5Password|SASL) /,
    );
    expect(sentSecret()).toBe(false);
    expect(server!.heard).not.toContain('p');
  });

  it('gets no second password once the first was accepted', async () => {
    const error = await logIn([ASK_CLEARTEXT, LOGGED_IN, ASK_CLEARTEXT]);
    expect(error?.message).toContain('the server broke the protocol: CleartextPassword');
    expect(server!.heard.filter((type) => type === 'p')).toHaveLength(1);
  });
});

describe('a server without TLS', () => {
  it('gets the login on the connection that asked for TLS with sslmode=prefer', async () => {
    expect(await logIn([ASK_CLEARTEXT, LOGGED_IN, DONE])).toBeUndefined();
    expect(server!.connections).toBe(1);
  });

  it('is asked again without TLS when more came with its refusal', async () => {
    const answer = Buffer.concat([Buffer.from('N'), LOGGED_IN]);
    expect(await logIn([LOGGED_IN, DONE], '', answer)).toBeUndefined();
    expect(server!.connections).toBe(2);
  });

  it('is tried once when it refuses the login', async () => {
    const error = await logIn([message('E', Buffer.from('SFATAL\0C28P01\0Mno such password\0\0'))]);
    expect(error?.message).toContain('no such password');
    expect(server!.connections).toBe(1);
  });

  it('gets nothing more with sslmode=require', async () => {
    const error = await logIn([LOGGED_IN, DONE], 'sslmode=require');
    expect(error?.message).toContain('the server does not support TLS');
    expect(Buffer.concat(server!.bytes)).toHaveLength(8);
  });
});

describe('a login without authentication', () => {
  it.each([
    'require_auth=scram-sha-256',
    'require_auth=password',
    'require_auth=!none',
    'channel_binding=require',
  ])('is refused with %s', async (more) => {
    const error = await logIn([LOGGED_IN, DONE], more);
    expect(error?.message).toMatch(/the server accepts the login without/);
  });

  it('is taken without requirements', async () => {
    expect(await logIn([LOGGED_IN, DONE])).toBeUndefined();
  });

  it('is refused when SCRAM was begun and the server proved nothing', async () => {
    const error = await logIn([ASK_SCRAM, LOGGED_IN, DONE], 'require_auth=scram-sha-256');
    expect(error?.message).toContain('the server broke the protocol: AuthenticationOk');
  });
});

describe('what is no login', () => {
  it.each([
    ['Kerberos', message('R', 7), /authentication method that is not supported \(7\)/],
    ['SSPI', message('R', 9), /authentication method that is not supported \(9\)/],
    [
      'another SASL mechanism',
      message('R', 10, 'OAUTHBEARER', Buffer.from('\0')),
      /SCRAM-SHA-256 are supported/,
    ],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /the server broke the protocol/],
  ])('is one line at once: %s', async (_, answer, reason) => {
    expect((await logIn([answer]))?.message).toMatch(reason);
  });
});

describe('channel_binding=require', () => {
  it('refuses SCRAM without channel binding', async () => {
    const error = await logIn([ASK_SCRAM, LOGGED_IN], 'channel_binding=require');
    expect(error?.message).toContain(
      'channel_binding=require: the server asks for SCRAM, without channel binding',
    );
    expect(server!.heard).toEqual([]);
  });
});

describe('a start-up packet', () => {
  it('has each setting under its own name, and no options', async () => {
    await logIn(
      [LOGGED_IN, DONE],
      `options='-c TimeZone=UTC --work-mem=8MB -c datestyle=German -c datestyle=YMD'`,
    );
    const packet = Buffer.concat(server!.bytes).toString('latin1');
    expect(packet).toContain(
      'user\0u\0database\0d\0TimeZone\0UTC\0work_mem\x008MB\0datestyle\0German\0Datestyle\0YMD\0',
    );
    expect(packet).toContain('application_name\0spillway\0');
    expect(packet).not.toContain('options');
  });
});
