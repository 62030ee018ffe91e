// Sends the forms without leaving the page, and exchanges the parts of it that
// have changed. Without this script everything works too, a page at a time.

const parts = () => document.querySelectorAll('[data-part]');

function take(html) {
  const next = new DOMParser().parseFromString(html, 'text/html');
  const focused = document.activeElement;
  const heading = focused.closest('section')?.querySelector('h2');
  for (const part of parts()) {
    const fresh = next.getElementById(part.id);
    if (!fresh) continue;
    // What the reader has opened or closed stays so.
    for (const old of part.querySelectorAll('details[id]')) {
      const same = fresh.querySelector('#' + CSS.escape(old.id));
      if (same && old.dataset.touched) { same.open = old.open; same.dataset.touched = '1'; }
    }
    part.className = fresh.className;
    if (part.innerHTML !== fresh.innerHTML) part.replaceChildren(...fresh.childNodes);
  }
  if (!focused.isConnected) { // it went with its part
    (focused.id && document.getElementById(focused.id) || heading)?.focus();
  }
}

function tell(text) {
  const notice = document.getElementById('notice');
  notice.className = 'error';
  notice.textContent = text;
}

async function load(url, options) {
  try {
    const response = await fetch(url, options);
    const text = await response.text();
    if (response.ok) take(text);
    else tell(text);
    return response.ok;
  } catch {
    tell('The local cloud does not answer. Is it still running?');
    return false;
  }
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = event.submitter;
  if (button?.ariaBusy === 'true') return;
  button?.setAttribute('aria-busy', 'true');
  await load(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) });
  button?.removeAttribute('aria-busy');
});

document.addEventListener('click', (event) => {
  const details = event.target.closest('summary')?.parentElement;
  if (details) details.dataset.touched = '1';
});

const refresh = document.getElementById('refresh');
refresh.hidden = false;
refresh.addEventListener('click', () => load('/'));

document.getElementById('follow-label').hidden = false;
const follow = document.getElementById('follow');
setInterval(async () => {
  if (follow.checked && !document.hidden) follow.checked = await load('/');
}, 2000);
