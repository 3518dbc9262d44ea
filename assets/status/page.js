// Parts that all sections of the page share. Texts from the network get into the page as text only, never as HTML.

/** Returns the element with an id. */
export const $ = (id) => document.getElementById(id);

/** Writes a number with three digits and a unit: 1.25 Mbit/s. */
export function size(number, unit) {
  let value = number;
  let power = 0;
  while (value >= 999.5 && power < 4) {
    value /= 1000;
    power++;
  }
  const digits = power === 0 || value >= 99.95 ? Math.round(value) : value.toPrecision(3);
  return `${digits} ${['', 'k', 'M', 'G', 'T'][power]}${unit}`;
}

/** Writes seconds as 1:02:03. */
export function clock(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((part, index) => (index > 0 ? String(part).padStart(2, '0') : part)).join(':');
}

/** Writes seconds as 3 d 4 h, 4 h 5 min or 5 min 6 s. */
export function span(seconds) {
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = Math.max(
    0,
    units.findIndex(([unit]) => seconds >= unit),
  );
  let rest = Math.floor(seconds);
  return units
    .slice(first === -1 ? 3 : first, first + 2)
    .map(([unit, name]) => {
      const count = Math.floor(rest / unit);
      rest -= count * unit;
      return `${count} ${name}`;
    })
    .join(' ');
}

export const many = (count, one, more = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : more}`;

/** Makes an element with a text or children, and attributes. */
export function make(tag, content = [], attributes = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...[content].flat());
  return element;
}

/** Sets the text of an element, if it is another one: screen readers and selections stay undisturbed. */
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/** Sends a request of the API, and shows why it failed. @returns the answer; undefined without one */
export async function call(method, path, { quiet = false } = {}) {
  try {
    const answer = await fetch(path, { method, headers: { 'X-Requested-With': 'status-page' } });
    const body = answer.status === 204 ? {} : await answer.json();
    if (!answer.ok) throw new Error(body.error ?? answer.statusText);
    if (!quiet) say($('error'), '');
    return body;
  } catch (error) {
    if (!quiet) say($('error'), error instanceof TypeError ? 'The server does not answer.' : error.message);
    return undefined;
  }
}

/** Asks a question that has a button for yes. */
export function confirmed(question, yes) {
  say($('question'), question);
  say($('sure'), yes);
  const dialog = $('ask');
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

/** Makes a button that does something, once at a time. It keeps the focus meanwhile, which a disabled one would lose. */
export function button(text, label, action, attributes = {}) {
  const made = make('button', text, { type: 'button', 'aria-label': label, ...attributes });
  let busy = false;
  made.addEventListener('click', async () => {
    if (busy) return;
    busy = true;
    try {
      await action();
    } finally {
      busy = false;
    }
  });
  return made;
}

/**
 * Shows a list in an element. What is shown already is changed in place, so that the focus stays where it is.
 *
 * @param keyOf returns what identifies an entry
 * @param create makes an entry: `{ element, update(value), removed?() }`
 */
export function keyed(parent, keyOf, create) {
  const shown = new Map();
  return (values) => {
    const gone = new Set(shown.keys());
    values.forEach((value, index) => {
      const key = keyOf(value);
      gone.delete(key);
      let entry = shown.get(key);
      if (!entry) {
        entry = create(value);
        shown.set(key, entry);
      }
      entry.update(value);
      if (parent.children[index] === entry.element) return;
      // An element that moves loses the focus.
      const focused = document.activeElement;
      parent.insertBefore(entry.element, parent.children[index] ?? null);
      if (document.activeElement !== focused) focused.focus({ preventScroll: true });
    });
    for (const key of gone) {
      const { element, removed } = shown.get(key);
      element.remove();
      removed?.();
      shown.delete(key);
    }
  };
}

/** Copies a text, and says so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers allow the clipboard only on this host and over TLS.
    const field = make('textarea', text);
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  say($('said'), `Copied: ${text}`);
}
