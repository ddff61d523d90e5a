/** Environment variables, password files and service files. */

import { same, type Row } from './row.js';

const alice = { PGHOST: '127.0.0.1', PGPORT: '{port}', PGUSER: 'alice', PGPASSWORD: 'al1ce' };

export const VARIABLES: Row[] = [
  { env: alice, then: same },
  { env: { ...alice, PGDATABASE: 'shop' }, then: same },
  {
    env: { ...alice, PGDATABASE: 'postgres://x/y' },
    then: { neither: /database "postgres:\/\/x\/y" does not exist/ },
  },
  { env: { ...alice, PGDATABASE: 'shop', PGTZ: 'Asia/Kolkata' }, then: same },
  { env: { ...alice, PGDATABASE: 'shop', PGTZ: 'default', PGDATESTYLE: 'Default' }, then: same },
  {
    env: { ...alice, PGTZ: 'Not/AZone' },
    then: { neither: /invalid value for parameter "timezone": "Not\/AZone"/i },
  },
  { env: { ...alice, PGDATESTYLE: 'German, DMY', PGGEQO: 'off' }, then: same },
  { env: { ...alice, PGDATESTYLE: 'YMD', PGOPTIONS: '-c datestyle=SQL' }, then: same },
  { env: { ...alice, PGTZ: 'UTC', PGOPTIONS: '-c TimeZone=Asia/Tokyo' }, then: same },
  { env: { ...alice, PGOPTIONS: '-c statement_timeout=7s --search_path=a,b' }, then: same },
  { env: { ...alice, PGAPPNAME: 'from the environment' }, then: same },
  { env: { ...alice, PGAPPNAME: '' }, then: same },
  { env: { ...alice, PGCLIENTENCODING: 'UTF8' }, then: same },
  { env: { ...alice, PGCLIENTENCODING: 'LATIN9' }, then: { refused: /client encoding "LATIN9"/ } },
  { env: { ...alice, PGSSLMODE: 'require' }, then: same },
  { env: { ...alice, PGSSLMODE: 'disable' }, then: same },
  { env: { ...alice, PGSSLMODE: 'no-verify' }, then: { neither: /invalid sslmode value: "no-verify"/ } },
  { env: { ...alice, PGSSLMODE: 'requrie' }, then: { neither: /invalid sslmode value: "requrie"/ } },
  { env: { ...alice, PGSSLMODE: '' }, then: { neither: /invalid sslmode value: ""/ } },
  { env: { ...alice, PGREQUIRESSL: '1' }, then: same },
  { env: { ...alice, PGREQUIRESSL: '1', PGSSLMODE: 'disable' }, then: same },
  {
    env: { ...alice, PGHOST: 'localhost', PGSSLMODE: 'verify-full', PGSSLROOTCERT: '{tls}/ca.crt' },
    then: same,
  },
  {
    env: { ...alice, PGSSLMODE: 'verify-full', PGSSLROOTCERT: '{tls}/other.crt' },
    then: { neither: /certificate|issuer/ },
  },
  {
    env: {
      ...alice,
      PGUSER: 'certuser',
      PGDATABASE: 'shop',
      PGSSLCERT: '{tls}/client.crt',
      PGSSLKEY: '{tls}/client.key',
    },
    then: same,
  },
  {
    env: { ...alice, PGHOST: 'localhost', HOME: '{home}/tls', PGSSLMODE: 'verify-full' },
    then: same,
    title: '~/.postgresql/root.crt',
  },
  {
    env: { ...alice, HOME: '{home}/tls', PGUSER: 'certuser', PGDATABASE: 'shop' },
    then: same,
    title: '~/.postgresql/postgresql.crt',
  },
  { env: { ...alice, PGHOST: 'nowhere.invalid', PGHOSTADDR: '127.0.0.1' }, then: same },
  {
    text: 'postgres://127.0.0.1,127.0.0.1/shop',
    env: { ...alice, PGCONNECT_TIMEOUT: '2' },
    then: { neither: /^127\.0\.0\.1:5432\/shop: / },
    title: 'several hosts of a URL without ports have the default port, not PGPORT',
  },
  {
    env: {
      ...alice,
      PGHOST: '127.0.0.1,127.0.0.1',
      PGPORT: '{second},{port}',
      PGTARGETSESSIONATTRS: 'read-write',
      PGDATABASE: 'shop',
    },
    then: same,
  },
  { env: { ...alice, PGPORT: '{port}x' }, then: { neither: /invalid port number/ } },
  { env: { ...alice, PGCONNECT_TIMEOUT: 'x' }, then: { neither: /invalid connect_timeout value/ } },
  { env: { ...alice, PGCHANNELBINDING: 'require', PGSSLMODE: 'require' }, then: same },
  { env: { ...alice, PGGSSENCMODE: 'require' }, then: { refused: /gssencmode=require is refused/ } },
  { env: { ...alice, PGREQUIREAUTH: 'md5' }, then: { refused: /asks for SCRAM, which require_auth=md5/ } },
  { env: { ...alice, PGUSER: 'postgres', PGPASSWORD: '{pw}' }, then: same },
  {
    text: 'postgres://127.0.0.1/shop',
    env: alice,
    then: same,
    title: 'variables fill what the URL leaves out',
  },
  { text: 'dbname=shop', env: { ...alice, PGDATABASE: 'alice', PGTZ: 'Asia/Tokyo' }, then: same },
  { text: 'postgres://trusted@127.0.0.1:{port}', env: { PGDATABASE: 'shop', PGPASSWORD: 'x' }, then: same },
  // Password files.
  { env: { ...alice, PGPASSWORD: '', HOME: '{home}/pass' }, then: same, title: '~/.pgpass' },
  { env: { ...alice, PGPASSWORD: '', PGPASSFILE: '{home}/pass/.pgpass' }, then: same },
  { text: `host=127.0.0.1 port={port} user=alice passfile='{home}/pass/.pgpass'`, then: same },
  { text: `host=127.0.0.1 port={port} user=od@d/: dbname=shop passfile='{home}/pass/.pgpass'`, then: same },
  {
    text: `host=127.0.0.1 port={port} user=od@d/: dbname=sh@p passfile='{home}/pass/.pgpass'`,
    then: { neither: /password authentication failed/ },
  },
  {
    text: `host=127.0.0.1 port={port} user=alice passfile='{home}/open/.pgpass'`,
    then: { neither: /asks for a password.*others may read it: chmod 600/ },
  },
  {
    text: `host=127.0.0.1 port={port} user=alice passfile='{home}/pass'`,
    then: { neither: /asks for a password.*home\/pass is not used: .*not a plain file/ },
    title: 'a password file that is a folder, a pipe or a device is not read',
  },
  {
    text: `host=127.0.0.1 port={port} user=alice passfile='{home}/nowhere'`,
    then: { neither: /asks for a password/ },
  },
  { text: `host=127.0.0.1 port={port} user=alice`, env: { HOME: '{home}/pass' }, then: same },
  { text: `host=::1 port={port} user=alice dbname=shop passfile='{home}/pass/.pgpass'`, then: same },
  {
    text: `host=127.0.0.1 port={port} user=clear dbname=shop passfile='{home}/pass/.pgpass'`,
    then: { neither: /asks for a password/ },
    title: 'an empty password in the password file is none',
  },
  // Service files.
  { env: { PGSERVICE: 'shop', PGSERVICEFILE: '{home}/service/own.conf' }, then: same },
  { text: 'service=shop', env: { PGSERVICEFILE: '{home}/service/own.conf' }, then: same },
  { text: 'postgres:///?service=shop', env: { PGSERVICEFILE: '{home}/service/own.conf' }, then: same },
  { text: 'postgres:///alice?service=shop', env: { PGSERVICEFILE: '{home}/service/own.conf' }, then: same },
  { text: 'service=shop', env: { HOME: '{home}/service' }, then: same, title: '~/.pg_service.conf' },
  { text: 'service=wide', env: { PGSYSCONFDIR: '{home}/service' }, then: same },
  { text: 'service=wide', env: { HOME: '{home}/service', PGSYSCONFDIR: '{home}/service' }, then: same },
  {
    text: 'service=shop',
    env: { PGSERVICEFILE: '{home}/service/own.conf', PGUSER: 'nobody', PGTZ: 'UTC' },
    then: same,
    title: 'the service is before the variables',
  },
  {
    text: 'service=nosuch',
    env: { PGSERVICEFILE: '{home}/service/own.conf' },
    then: { neither: /no definition of service "nosuch"/ },
  },
  { text: 'service=shop', env: { PGSERVICEFILE: '{home}/nowhere' }, then: { neither: /no service file/ } },
  {
    text: 'service=broken',
    env: { PGSERVICEFILE: '{home}/service/own.conf' },
    then: { neither: /own\.conf, line \d+: expected NAME=VALUE/ },
  },
  {
    text: 'service=spaced',
    env: { PGSERVICEFILE: '{home}/service/own.conf' },
    then: { neither: /own\.conf, line \d+: expected NAME=VALUE/ },
  },
  {
    text: 'service=nested',
    env: { PGSERVICEFILE: '{home}/service/own.conf' },
    then: { neither: /cannot name another service/ },
  },
  {
    text: 'service=typo',
    env: { PGSERVICEFILE: '{home}/service/own.conf' },
    then: { neither: /own\.conf, line \d+: expected/ },
  },
];
