/** Values are read as `\copy` reads them with the same settings: time zone, date style and others of the environment. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../../support/cli.js';
import { useTestDatabase } from '../../../support/postgres.js';
import { PSQL, psql } from '../../../support/psql.js';

const cli = useCli();
const database = useTestDatabase();

const COLUMNS = 'id int, d date, ts timestamp, tz timestamptz, t time, ttz timetz, i interval, f float8';

/** What is a date, and which, is up to the settings. */
const LINES = [
  '1,2024-05-06,2024-05-06 12:00:00,2024-05-06 12:00:00,12:00,12:00,1 day,0.1',
  '2,05/06/2024,05/06/2024 12:00,05/06/2024 12:00,12:00:00.5,12:00+01,-1 2:03:04,1e3',
  '3,01-02-03,01-02-03 04:05:06,01-02-03 04:05:06,04:05,04:05,1-2,3',
  '4,2024-01-31T23:30:00,2024-01-31T23:30:00,2024-01-31T23:30:00,23:30,23:30,P1Y2M,4',
  '5,2024-07-01,2024-07-01 12:00:00+02,2024-07-01 12:00:00+02,1:00,1:00+05:30,-1 day 2 hours,5',
  '6,2024-03-31,2024-03-31 02:30:00,2024-03-31 02:30:00,2:30,2:30,0,-0',
  '7,06 May 2024,06 May 2024 3:00 PM,06 May 2024 3:00 PM,3:00 PM,3:00 PM,@ 1 day ago,7',
];

describe.skipIf(PSQL === undefined)(
  `values beside \\copy${PSQL === undefined ? ' (psql is not installed)' : ''}`,
  () => {
    it.each<Record<string, string>>([
      {},
      { PGTZ: 'Asia/Kolkata' },
      { PGTZ: 'America/New_York', PGDATESTYLE: 'SQL, DMY' },
      { PGTZ: 'Europe/Berlin', PGDATESTYLE: 'ISO, MDY' },
      { PGDATESTYLE: 'German' },
      { PGOPTIONS: '-c datestyle=SQL,DMY -c intervalstyle=sql_standard -c timezone=Pacific/Apia' },
      { PGOPTIONS: '--intervalstyle=sql_standard --datestyle=YMD', PGTZ: 'UTC' },
    ])('are the same with %j', async (env) => {
      const ours = await database.table(COLUMNS);
      const ndjson = await database.table(COLUMNS);
      const theirs = await database.table(COLUMNS);
      const names = COLUMNS.split(', ').map((column) => column.split(' ')[0]!);
      const csv = path.join(cli.directory, 'lines.csv');
      writeFileSync(csv, `${[names.join(), ...LINES].join('\n')}\n`);
      const objects = LINES.map((line) =>
        JSON.stringify(Object.fromEntries(line.split(',').map((text, at) => [names[at], text]))),
      );
      const json = path.join(cli.directory, 'lines.ndjson');
      writeFileSync(json, `${objects.join('\n')}\n`);
      // What one setting reads, another refuses.
      let refused = 0;
      for (const [index, line] of LINES.entries()) {
        const file = path.join(cli.directory, `line-${index}.csv`);
        writeFileSync(file, `${line}\n`);
        const { code } = await psql(database.url, `\\copy ${theirs} FROM '${file}' CSV`, env);
        if (code !== 0) refused += 1;
      }
      for (const [file, table] of [
        [csv, ours],
        [json, ndjson],
      ] as const) {
        const rejects = path.join(cli.directory, `${table}.rejects`);
        const args = ['load', '-q', file, '-t', table, '--to', database.url, '--rejects', rejects];
        expect(await cli.run(args, { env })).toEqual({ code: refused === 0 ? 0 : 3, stdout: '', stderr: '' });
      }
      const rows = (table: string) => database.query(`SELECT *, tz::text, i::text FROM ${table} ORDER BY id`);
      expect((await rows(theirs)).length).toBeGreaterThan(2);
      expect(await rows(ours)).toEqual(await rows(theirs));
      expect(await rows(ndjson)).toEqual(await rows(theirs));
    });

    it('are the same for many lines at once, which go in binary', async () => {
      const env = { PGTZ: 'America/New_York', PGDATESTYLE: 'SQL, DMY' };
      const lines = Array.from({ length: 5000 }, (_, n) => {
        const at = new Date(Date.UTC(2020, 0, 1) + n * 7_919_000).toISOString();
        return `${n},${at.slice(0, 10)},${at.slice(0, 19).replace('T', ' ')},${at.slice(0, 19).replace('T', ' ')}`;
      });
      const file = path.join(cli.directory, 'many.csv');
      writeFileSync(file, `id,d,ts,tz\n${lines.join('\n')}\n`);
      const ours = await database.table(COLUMNS);
      const theirs = await database.table(COLUMNS);
      const loaded = await cli.run(['load', '-q', file, '-t', ours, '--to', database.url], { env });
      expect(loaded).toEqual({ code: 0, stdout: '', stderr: '' });
      expect(
        await psql(database.url, `\\copy ${theirs} (id,d,ts,tz) FROM '${file}' CSV HEADER`, env),
      ).toMatchObject({ code: 0 });
      expect(
        await database.query(
          `(TABLE ${ours} EXCEPT TABLE ${theirs}) UNION ALL (TABLE ${theirs} EXCEPT TABLE ${ours})`,
        ),
      ).toEqual([]);
    });
  },
);
