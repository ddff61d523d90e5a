/** Clients of the soak's service: several connections, events with ids of their own, at rates that change. */

import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { SeededRandom } from '../support/seeded-random.js';
import type { EventAccounts } from './event-accounts.js';
import { SINK_NAMES, type SinkName, type SoakEvent } from './protocol.js';

const CONNECTIONS_PER_SINK = 3;
const MOST_EVENTS_PER_REQUEST = 100;
const BAD_SHARE = 0.000_5;
const REFUSED_PAUSE_MS = 100;
/** Events a second, both sinks together. */
export const RATES = { least: 100, most: 4_000 } as const;
const RATE_LASTS_MS = { least: 1_000, most: 6_000 } as const;

export class LoadGenerator {
  readonly #url: string;
  readonly #random: SeededRandom;
  readonly #accounts: EventAccounts;
  /** Answers 429 so far. */
  readonly refusals: Record<SinkName, number> = { push: 0, stream: 0 };
  readonly latenciesMs: number[] = [];
  /** Answers that the service should never give. */
  readonly unexpected: string[] = [];
  /** If set, it holds instead of the changing rates. */
  fixedRate: number | undefined;
  #rate: number = RATES.least;
  #isOver = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(url: string, random: SeededRandom, accounts: EventAccounts) {
    this.#url = url;
    this.#random = random;
    this.#accounts = accounts;
  }

  start(): void {
    const clients = SINK_NAMES.flatMap((sink) =>
      Array.from({ length: CONNECTIONS_PER_SINK }, () => this.#runClient(sink, this.#random.fork())),
    );
    this.#running = Promise.all([...clients, this.#changeRates()]);
  }

  /** Resolves when each request has its answer, or has none. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #changeRates(): Promise<void> {
    let endsAt = 0;
    while (!this.#isOver) {
      await delay(100);
      if (performance.now() < endsAt) continue;
      this.#rate = this.#random.logBetween(RATES.least, RATES.most);
      endsAt = performance.now() + this.#random.between(RATE_LASTS_MS.least, RATE_LASTS_MS.most);
    }
  }

  async #runClient(sink: SinkName, random: SeededRandom): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!this.#isOver) {
      const count = random.int(1, MOST_EVENTS_PER_REQUEST);
      const startedAt = performance.now();
      const events = Array.from({ length: count }, () => this.#makeEvent(random));
      const answer = await this.#post(agent, sink, events);
      if (answer === 'refused') await delay(REFUSED_PAUSE_MS);
      // Requests come as if they took no time; those that are late are not made up for.
      const perClient = (this.fixedRate ?? this.#rate) / (SINK_NAMES.length * CONNECTIONS_PER_SINK);
      await delay(Math.max(1, (1_000 * count) / perClient - (performance.now() - startedAt)));
    }
    agent.destroy();
  }

  #makeEvent(random: SeededRandom): SoakEvent {
    const isBad = random.chance(BAD_SHARE);
    const id = this.#accounts.next(isBad);
    return {
      id,
      at: new Date().toISOString(),
      name: `event ${id % 97}`,
      // Out of range, refused by the CHECK, or no number: each is found in another way.
      value: isBad ? random.pick([5_000_000_000, -1, 'none']) : random.int(0, 1_000_000),
      tags: { host: `host-${id % 13}`, path: '/'.repeat(1 + (id % 40)) },
    };
  }

  async #post(
    agent: Agent,
    sink: SinkName,
    events: SoakEvent[],
  ): Promise<'accepted' | 'refused' | 'unknown'> {
    const startedAt = performance.now();
    const reply = await post(agent, `${this.#url}/${sink}/events`, events).catch(() => undefined);
    if (reply === undefined) {
      for (const { id } of events) this.#accounts.answered(id, 'unknown');
      return 'unknown';
    }
    this.latenciesMs.push(performance.now() - startedAt);
    if (reply.status !== 202 && reply.status !== 429) {
      this.unexpected.push(`a POST to ${sink} was answered by ${reply.status}: ${reply.body}`);
      for (const { id } of events) this.#accounts.answered(id, 'unknown');
      return 'unknown';
    }
    const taken = reply.status === 202 ? (JSON.parse(reply.body) as { taken: number }).taken : 0;
    if (reply.status === 429) this.refusals[sink]++;
    events.forEach(({ id }, place) => this.#accounts.answered(id, place < taken ? 'accepted' : 'refused'));
    return taken === events.length ? 'accepted' : 'refused';
  }
}

interface Reply {
  status: number;
  body: string;
}

export function post(agent: Agent, url: string, body: unknown): Promise<Reply> {
  return exchange(agent, url, 'POST', JSON.stringify(body));
}

export async function getJson<T>(agent: Agent, url: string): Promise<T> {
  return JSON.parse((await exchange(agent, url, 'GET')).body) as T;
}

function exchange(agent: Agent, url: string, method: string, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const request = httpRequest(url, { agent, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode!, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}
