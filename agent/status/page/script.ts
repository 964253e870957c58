/**
 * What runs in the browser: every two seconds the page is fetched anew, and what differs is changed in place, so that neither the place
 * of reading, nor a selection, nor the keyboard's focus is lost. One renderer, the server's, serves those without it too.
 */
export const script = `
'use strict';
(() => {
  const notice = document.getElementById('away');
  const change = (now, next) => {
    if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName) return now.replaceWith(next.cloneNode(true));
    if (now.nodeType === 3) { if (now.data !== next.data) now.data = next.data; return; }
    for (const { name, value } of next.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    for (const { name } of [...now.attributes]) if (!next.hasAttribute(name)) now.removeAttribute(name);
    const [old, fresh] = [[...now.childNodes], [...next.childNodes]];
    fresh.forEach((node, i) => { if (old[i]) change(old[i], node); else now.append(node.cloneNode(true)); });
    for (const node of old.slice(fresh.length)) node.remove();
  };
  const look = async () => {
    try {
      const answer = await fetch(location.href, { signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      change(document.querySelector('main'), page.querySelector('main'));
      document.title = page.title;
      notice.hidden = true;
    } catch {
      notice.hidden = false;
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
})();
`
