/** Scrapes as Prometheus does, from a process of its own: an URL at once and then each second, until another message comes. */

const EVERY_MS = 1_000;

let timer: NodeJS.Timeout | undefined;
let url = '';

async function scrape(): Promise<void> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`a scrape has failed: ${text}`);
}

process.on('message', (message: string) => {
  clearInterval(timer);
  if (message === '') return void process.send!('stopped');
  url = message;
  timer = setInterval(() => void scrape(), EVERY_MS);
  void scrape().then(() => process.send!('started'));
});
process.on('disconnect', () => process.exit());
