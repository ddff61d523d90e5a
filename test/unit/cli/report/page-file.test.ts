import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CliError, ExitCode } from '../../../../src/cli/common/errors.js';
import { OutputFile } from '../../../../src/cli/rejects/output-file.js';
import { PageFile } from '../../../../src/cli/report/page-file.js';

const DONE = {
  exitCode: ExitCode.INCOMPLETE as ExitCode,
  lines: ['9 rows', '1 reject'],
  error: undefined as string | undefined,
  json: { rows: 9 },
};
const show = (head: object): string => JSON.stringify(head);

async function inFolder() {
  const folder = await mkdtemp(path.join(tmpdir(), 'page-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  onTestFinished(remove);
  const name = path.join(folder, 'r.html');
  const file = new PageFile(await OutputFile.check(name));
  return { name, file, remove, read: () => readFile(name, 'utf8') };
}

describe('the page of a report', () => {
  it('has how the command has ended, and the other lines, and the summary names its file', async () => {
    const { file, name, read } = await inFolder();
    const summary = await file.write(DONE, 'Done: 9 rows', show);
    expect(JSON.parse(await read())).toEqual({
      status: { kind: 'warn', text: 'Done: 9 rows' },
      lines: ['1 reject'],
    });
    expect(summary).toEqual({ ...DONE, lines: [...DONE.lines, `report: ${name}`] });
  });

  it('that cannot be written makes a success a failure, and leaves another exit code as it is', async () => {
    const { file, name, remove } = await inFolder();
    await remove();
    const error = `--report ${name}: cannot be written: its folder does not exist`;
    expect(await file.write(DONE, '', show)).toMatchObject({
      error,
      exitCode: ExitCode.FAILED,
      json: { rows: 9, error, exitCode: ExitCode.FAILED, reportFile: null },
    });
    const stopped = { ...DONE, error: 'stopped', exitCode: ExitCode.INTERRUPTED };
    expect(await file.write(stopped, '', show)).toMatchObject({
      error: `stopped; ${error}`,
      exitCode: ExitCode.INTERRUPTED,
    });
  });

  it('is written of a failure before the first row, but not over the page of one that came later', async () => {
    const { file, read } = await inFolder();
    const failure = new CliError('no such table');
    expect(await file.writeFailure(failure, 'row', show)).toBe(failure);
    expect(await read()).toContain('Failed before its first row: no such table');
    await file.writeFailure(new CliError('another'), 'row', show);
    expect(await read()).not.toContain('another');
  });

  it('that cannot be written keeps what the failure says of the table', async () => {
    const { file, remove } = await inFolder();
    await remove();
    const failure = Object.assign(new CliError('no such table'), { truncated: true });
    expect(await file.writeFailure(failure, 'row', show)).toMatchObject({
      message: expect.stringMatching(/^no such table; --report .*its folder does not exist$/) as string,
      truncated: true,
    });
  });
});
