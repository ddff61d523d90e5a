/** Makes HTML of text. Everything that comes from data passes through `text`. */

import { printable } from '../../guards/printable.js';
import { redactSecrets } from '../../postgres/errors/redact.js';

/** HTML that is ready. Only this file makes it of a string. */
export interface Markup {
  readonly html: string;
}

type Content = Markup | string | number | readonly (Markup | string | number)[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(value: string | number): string {
  return printable(redactSecrets(String(value))).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function htmlOf(content: Content): string {
  if (typeof content === 'string' || typeof content === 'number') return escaped(content);
  return 'html' in content ? content.html : content.map(htmlOf).join('');
}

/** A template of HTML: what is put into it is escaped, unless it is markup itself. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return { html: parts.reduce((before, part, index) => before + htmlOf(contents[index - 1]!) + part) };
}

export const NOTHING: Markup = { html: '' };

export interface Column {
  readonly name: string;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
}

/** A table that can be scrolled by itself where the page is narrow. The first cell of a row is its heading. */
export function table(
  caption: string,
  columns: readonly (Column | string)[],
  rows: readonly (readonly (Markup | string | number)[])[],
): Markup {
  const all = columns.map((column) => (typeof column === 'string' ? { name: column } : column));
  const classOf = (index: number) => (all[index]?.isNumber === true ? html` class="n"` : NOTHING);
  const heads = all.map(({ name }, index) => html`<th scope="col" ${classOf(index)}>${name}</th>`);
  const body = rows.map((cells) => {
    const [first, ...others] = cells;
    const data = others.map((cell, index) => html`<td${classOf(index + 1)}>${cell}</td>`);
    return html`<tr>
      <th scope="row" ${classOf(0)}>${first!}</th>
      ${data}
    </tr> `;
  });
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${heads}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div> `;
}

/** Names and their values. */
export function facts(pairs: readonly (readonly [string, Markup | string | number])[]): Markup {
  return html`<dl>
    ${pairs.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl> `;
}

/** A part of the page with a heading. */
export function section(id: string, heading: string, content: Content): Markup {
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${heading}</h2>
    ${content}
  </section> `;
}
