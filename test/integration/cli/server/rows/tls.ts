/** TLS: modes, certificates, keys and revocation lists. */

import { at, same, type Row } from './row.js';

const verify = `host=localhost port={port} user=alice password=al1ce sslrootcert={tls}/ca.crt`;

export const TLS: Row[] = [
  { text: `${verify} sslmode=verify-full`, then: same },
  { text: `${verify} sslmode=verify-ca`, then: same },
  { text: `${verify} sslmode=require`, then: same },
  { text: `${verify} sslmode=prefer`, then: same },
  { text: `${verify} sslmode=allow`, then: same },
  { text: `${verify} sslmode=disable`, then: same },
  { text: `${verify} sslmode=verify-full hostaddr=127.0.0.1`, then: same },
  {
    text: `host=a.wild.example hostaddr=127.0.0.1 port={port} user=alice password=al1ce sslmode=verify-full sslrootcert={tls}/ca.crt`,
    then: same,
  },
  {
    text: `host=a.b.wild.example hostaddr=127.0.0.1 port={port} user=alice password=al1ce sslmode=verify-full sslrootcert={tls}/ca.crt`,
    then: { neither: /not for the host "a\.b\.wild\.example"/ },
  },
  {
    text: `host=db.example hostaddr=127.0.0.1 port={port} user=alice password=al1ce sslmode=verify-full sslrootcert={tls}/ca.crt`,
    then: { neither: /not for the host "db\.example"/ },
  },
  {
    text: `host=db.example hostaddr=127.0.0.1 port={port} user=alice password=al1ce sslmode=verify-ca sslrootcert={tls}/ca.crt`,
    then: same,
  },
  {
    text: `${at} sslmode=verify-full sslrootcert={tls}/ca.crt`,
    then: same,
    title: 'an address in the certificate',
  },
  {
    text: `${at} sslmode=verify-full sslrootcert={tls}/other.crt`,
    then: {
      neither: /signed by an unknown authority: name the root .*sslrootcert|certificate verify failed/,
    },
  },
  {
    text: `${at} sslmode=require sslrootcert={tls}/other.crt`,
    then: {
      neither: /signed by an unknown authority: name the root .*sslrootcert|certificate verify failed/,
    },
    title: 'require with a root certificate verifies',
  },
  { text: `${at} sslmode=prefer sslrootcert={tls}/other.crt`, then: same },
  {
    text: `${at} sslmode=verify-full`,
    then: { neither: /sslrootcert: the root certificate \S*root\.crt does not exist/ },
  },
  {
    text: `${at} sslmode=verify-ca sslrootcert={tls}/missing.crt`,
    then: { neither: /sslrootcert: the file \S*missing\.crt does not exist/ },
  },
  {
    text: `${at} sslmode=require sslrootcert={tls}/missing.crt`,
    then: { refused: /sslrootcert: the file \S*missing\.crt does not exist/ },
  },
  {
    text: `${at} sslmode=require sslcert={tls}/missing.crt`,
    then: { refused: /sslcert: the file \S*missing\.crt does not exist/ },
  },
  {
    text: `${at} sslmode=require sslcert={tls}/client.crt sslkey={tls}/missing.key`,
    then: { neither: /sslkey: the file \S*missing\.key does not exist/ },
  },
  {
    text: `${at} sslmode=require sslcert={tls}/client.crt sslkey={tls}/open.key`,
    then: { neither: /sslkey: the private key \S*open\.key is open to others/ },
  },
  {
    text: `${at} sslmode=require sslcert={tls}/client.crt sslkey={tls}/client.crt`,
    then: { neither: /sslkey: / },
  },
  {
    text: `${at} sslmode=require sslcert={tls}/client.key sslkey={tls}/client.key`,
    then: { neither: /sslcert: \S*client\.key cannot be used/ },
  },
  {
    text: `host=localhost port={port} user=certuser dbname=shop sslmode=require sslcert={tls}/client.crt sslkey={tls}/client.key`,
    then: same,
  },
  {
    text: `host=localhost port={port} user=certuser dbname=shop sslmode=require sslcert={tls}/client.crt sslkey={tls}/encrypted.key sslpassword=klartext`,
    then: same,
  },
  {
    text: `host=localhost port={port} user=certuser dbname=shop sslmode=require sslcert={tls}/client.crt sslkey={tls}/encrypted.key sslpassword=sEcReT`,
    then: { neither: /sslkey: \S*encrypted\.key cannot be used/ },
  },
  {
    text: `host=localhost port={port} user=certuser dbname=shop sslmode=require`,
    then: { neither: /certificate/ },
  },
  { text: `${verify} sslmode=verify-ca sslcrl={tls}/empty.crl`, then: same },
  { text: `${verify} sslmode=verify-ca sslcrl={tls}/full.crl`, then: { neither: /revoked/ } },
  {
    text: `${verify} sslmode=verify-ca sslcrl={tls}/missing.crl`,
    then: { refused: /sslcrl: the file \S*missing\.crl does not exist/ },
  },
  { text: `${at} sslmode=require ssl_min_protocol_version=TLSv1.3`, then: same },
  { text: `${at} sslmode=require ssl_max_protocol_version=tlsv1.2`, then: same },
  {
    text: `${at} sslmode=require ssl_min_protocol_version=SSLv3`,
    then: { neither: /invalid ssl_min_protocol_version value: "SSLv3"/ },
  },
  {
    text: `${at} sslmode=require ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2`,
    then: { neither: /above/ },
  },
  { text: `${at} sslmode=require sslsni=0`, then: same },
  { text: `${at} sslmode=require sslcompression=0`, then: same },
  { text: `${at} sslmode=require sslcompression=1`, then: { refused: /sslcompression=1 is refused/ } },
  { text: `${at} sslmode=require sslrootcert=system`, then: { refused: /too weak for sslrootcert=system/ } },
  { text: `${at} sslrootcert=system`, then: { refused: /certificate/ }, title: 'system verifies by default' },
  { text: `${at} sslmode=require sslnegotiation=direct`, then: { newer: { tls: 't' } }, since: 17 },
  {
    text: `${at} sslmode=prefer sslnegotiation=direct`,
    then: { neither: /too weak for sslnegotiation=direct/ },
  },
  {
    text: `${at} sslmode=require sslcertmode=disable sslcert={tls}/missing.crt`,
    then: { newer: { tls: 't' } },
  },
  { text: `${at} sslmode=require sslcertmode=require`, then: { refused: /sslcertmode=require is refused/ } },
  {
    text: `host=127.0.0.1 port={port} user=tlsonly password=tlsonly dbname=shop sslmode=allow`,
    then: same,
    title: 'allow: TLS after a refusal without',
  },
  {
    text: `host=127.0.0.1 port={port} user=tlsonly password=tlsonly dbname=shop sslmode=disable`,
    then: { neither: /no pg_hba\.conf entry|rejects/ },
  },
  {
    text: `host=127.0.0.1 port={port} user=plainonly password=plainonly dbname=shop`,
    then: same,
    title: 'prefer: without TLS after a refusal with',
  },
  {
    text: `host=127.0.0.1 port={port} user=plainonly password=plainonly dbname=shop sslmode=require`,
    then: { neither: /no pg_hba\.conf entry|rejects/ },
  },
  {
    text: 'postgres://alice:al1ce@127.0.0.1:{second}/shop',
    then: same,
    title: 'prefer: a server without TLS',
  },
  { text: 'postgres://alice:al1ce@127.0.0.1:{second}/shop?sslmode=allow', then: same },
  {
    text: 'postgres://alice:al1ce@127.0.0.1:{second}/shop?sslmode=require',
    then: { neither: /does not support TLS, and sslmode=require asks for it/ },
  },
  {
    text: 'postgres://alice:al1ce@127.0.0.1:{second},127.0.0.1:{port}/shop?sslmode=require',
    then: { neither: /does not support TLS/ },
    title: 'a refusal ends the search',
  },
];
