/** One at a time, in order; without a promise as long as `map` answers at once. */
export function mapInOrder<In, Out>(
  items: In[],
  map: (item: In) => Out | PromiseLike<Out>,
): Out[] | Promise<Out[]> {
  const results: Out[] = [];
  for (const [index, item] of items.entries()) {
    const result = map(item);
    if (isThenable(result)) return mapTheRest(result, items.slice(index + 1), map, results);
    results.push(result);
  }
  return results;
}

async function mapTheRest<In, Out>(
  first: PromiseLike<Out>,
  items: In[],
  map: (item: In) => Out | PromiseLike<Out>,
  results: Out[],
): Promise<Out[]> {
  results.push(await first);
  for (const item of items) results.push(await map(item));
  return results;
}

function isThenable<V>(value: V | PromiseLike<V>): value is PromiseLike<V> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}
