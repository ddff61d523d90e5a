import os from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Runnable tasks over the last minute: above the number of cores, others took part in the measurement. */
  readonly load: number;
  readonly date: string;
}

export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    load: loadAverage(),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Runnable tasks, the mean of the last minute. */
export function loadAverage(): number {
  return Math.round(os.loadavg()[0]! * 10) / 10;
}

export function machineLine(machine: Machine): string {
  const { date, node, cores, cpu, memoryGiB, system, load } = machine;
  return `${date}, Node ${node}, ${cores} cores of ${cpu}, ${memoryGiB} GiB, ${system}, load at the start ${load}`;
}
