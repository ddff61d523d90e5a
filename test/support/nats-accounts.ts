/** What `nsc` would make: an operator, an account with JetStream, and the credentials of a user in it. */

import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';

export interface NatsAccounts {
  /** For the server's configuration. */
  readonly config: string;
  /** The contents of a credentials file. */
  readonly creds: string;
  /** Those of a user of another operator. */
  readonly foreignCreds: string;
}

export function makeNatsAccounts(): NatsAccounts {
  const [operator, account, system] = [createOperator(), createAccount(), createAccount()];
  const unlimited = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
    conn: -1,
    leaf: -1,
  };
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = (pair: KeyPair, limits: object): string =>
    jwtOf(operator, pair, { type: 'account', limits: { ...unlimited, ...limits } });
  const operatorJwt = jwtOf(operator, operator, { type: 'operator', system_account: system.getPublicKey() });
  return {
    config: `
      operator: ${operatorJwt}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: {
        ${account.getPublicKey()}: ${accountJwt(account, storage)}
        ${system.getPublicKey()}: ${accountJwt(system, {})}
      }`,
    creds: credsOf(account),
    foreignCreds: credsOf(createAccount()),
  };
}

function credsOf(account: KeyPair): string {
  const user = createUser();
  const jwt = jwtOf(account, user, { type: 'user', subs: -1, data: -1, payload: -1 });
  const seed = Buffer.from(user.getSeed()).toString();
  return (
    `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n\n` +
    `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`
  );
}

function jwtOf(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    jti: 'T',
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    name: 'test',
    sub: subject.getPublicKey(),
    nats: { version: 2, ...nats },
  };
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`;
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}
