/** Which sinks drain at the same time, and which wait for others. */

import { refuse } from '../guards/validate.js';
import { SHUTDOWN, type DrainableSink, type SinkDrain } from './drainable-sink.js';

/**
 * Sinks in the order of the pipeline: upstream first. Sinks that follow each other drain at the same time, after the transforms before
 * them; a transform that follows a sink begins another pipeline. A nested array is a pipeline of its own, and each of its members drains
 * after the one before.
 */
export type DrainableSinks = Iterable<DrainableSink | readonly DrainableSink[]>;

interface DrainMember {
  sink: DrainableSink;
  drain: SinkDrain;
}

/** The members of a stage drain at the same time; a stage begins when the one before it is over. */
type Stage = SinkDrain[];

export interface DrainPlan {
  /** In the order in which they were given, each once. */
  members: DrainMember[];
  /** They drain at the same time. */
  pipelines: Stage[][];
}

/** @throws InvalidOptionError if there is something else among them. */
export function planDrain(sinks: unknown): DrainPlan {
  if (typeof (sinks as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function')
    return refuse('sinks', EXPECTED, sinks);
  const seen = new Map<unknown, SinkDrain>();
  const memberOf = (sink: unknown): SinkDrain[] => {
    if (seen.has(sink)) return [];
    if (typeof (sink as DrainableSink | undefined)?.[SHUTDOWN] !== 'function')
      refuse('sinks', EXPECTED, sink);
    const drain = (sink as DrainableSink)[SHUTDOWN]();
    seen.set(sink, drain);
    return [drain];
  };
  const pipelines: Stage[][] = [];
  let flat: Stage[] = [];
  for (const entry of sinks as Iterable<unknown>) {
    if (Array.isArray(entry)) {
      const stages = (entry as unknown[]).map(memberOf).filter((stage) => stage.length > 0);
      pipelines.push(stages);
      continue;
    }
    for (const drain of memberOf(entry)) {
      const last = flat.at(-1)?.at(-1);
      if (last === undefined || (drain.passesOn && !last.passesOn)) pipelines.push((flat = [[drain]]));
      else if (drain.passesOn || last.passesOn) flat.push([drain]);
      else flat.at(-1)!.push(drain);
    }
  }
  const members = [...seen].map(([sink, drain]) => ({ sink: sink as DrainableSink, drain }));
  return { members, pipelines };
}

const EXPECTED =
  'an iterable of BackpressureWritable, BackpressureController and BackpressureTransform, or of arrays of them';

/** Producers that wait for `'drain'` have written once more, at the most, since their sink was drained. */
const MOST_SWEEPS = 3;

/** Resolves when every member has settled, failed or run out of time. Begins the first stages at once. */
export async function drainInOrder({ members, pipelines }: DrainPlan): Promise<void> {
  for (const { drain } of members) drain.prepare();
  await eachInOrder(pipelines, (drain, place) => drain.drain(place > 0));
  // Some have settled long before others.
  for (let sweep = 0; sweep < MOST_SWEEPS && members.some(({ drain }) => drain.hasMore); sweep++)
    await eachInOrder(pipelines, (drain) => drain.drainMore());
}

async function eachInOrder(
  pipelines: Stage[][],
  run: (drain: SinkDrain, place: number) => Promise<void>,
): Promise<void> {
  const runPipeline = async (stages: Stage[]) => {
    for (const [place, stage] of stages.entries()) await Promise.all(stage.map((drain) => run(drain, place)));
  };
  await Promise.all(pipelines.map(runPipeline));
}
