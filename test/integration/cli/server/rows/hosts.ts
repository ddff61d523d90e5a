/** Several hosts. */

import { at, same, type Row } from './row.js';

const several = (attributes: string, ...ports: string[]): string =>
  `host=${ports.map(() => '127.0.0.1').join()} port=${ports.join()} user=trusted dbname=shop target_session_attrs=${attributes}`;

export const SEVERAL_HOSTS: Row[] = [
  { text: several('any', '{second}', '{port}'), then: same },
  { text: several('read-write', '{second}', '{standby}', '{port}'), then: same },
  { text: several('read-only', '{port}', '{second}', '{standby}'), then: same },
  { text: several('primary', '{standby}', '{second}', '{port}'), then: same },
  { text: several('standby', '{port}', '{second}', '{standby}'), then: same },
  { text: several('prefer-standby', '{port}', '{second}', '{standby}'), then: same },
  { text: several('prefer-standby', '{port}', '{second}'), then: same },
  { text: several('prefer-standby', '{closed}', '{port}', '{standby}'), then: same },
  {
    text: several('read-write', '{second}', '{standby}'),
    then: {
      neither: /127\.0\.0\.1:\d+: the session is read-only; 127\.0\.0\.1:\d+: the session is read-only/,
    },
  },
  { text: several('standby', '{port}'), then: { neither: /the server is not a standby/ } },
  { text: several('master', '{port}'), then: { neither: /invalid target_session_attrs value: "master"/ } },
  { text: several('any', '{closed}', '{closed}'), then: { neither: /refused/ } },
  {
    text: `${several('read-write', '{second}', '{port}')} load_balance_hosts=random`,
    then: { newer: { port: '{port}' } },
  },
  { text: `${at} load_balance_hosts=yes`, then: { neither: /invalid load_balance_hosts value/ } },
  {
    text: 'postgres://alice:wrong@127.0.0.1:{port},127.0.0.1:{second}/shop?sslmode=disable',
    then: { neither: /password authentication failed/ },
    title: 'a wrong password ends the search',
  },
];
