// Improves pages that work without it: tells of new alerts as they come, and watches a synchronisation.
"use strict";

// --- new alerts -------------------------------------------------------------------------------------------------
const news = document.querySelector("#news[data-stream]");
if (news && "EventSource" in window) listen(news);

// Only while somebody looks: a browser has few connections to one server, and open pages would soon hold them all.
// Whoever comes back hears what came meanwhile.
function listen(news) {
  const address = new URL(news.dataset.stream, window.location.href);
  let stream = null;
  function follow() {
    if (document.hidden) end();
    else stream ??= begin();
  }
  function begin() {
    const begun = new EventSource(address);
    begun.addEventListener("alert", (event) => {
      address.searchParams.set("after", event.lastEventId);
      announce(news, event);
    });
    return begun;
  }
  function end() {
    stream?.close();
    stream = null;
  }
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", end);
  follow();
}

function announce(news, event) {
  if (JSON.parse(event.data).kind !== "raised") return;
  const told = document.createElement("p");
  const link = document.createElement("a");
  told.className = "notice warn";
  link.href = window.location.pathname;
  link.textContent = news.dataset.link;
  told.append(news.dataset.text, " ", link);
  news.replaceChildren(told);
}

// --- a synchronisation that goes on --------------------------------------------------------------------------------
const EVERY_MS = 1000;
watch();

function watch() {
  const progress = document.querySelector("#progress[data-follow]");
  if (progress) setTimeout(() => look(progress), EVERY_MS);
}

async function look(progress) {
  try {
    const answer = await fetch(progress.dataset.follow, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = parsed.querySelector("#progress");
    if (!fresh) return;
    const ended = !fresh.dataset.follow;
    const then = progress.dataset.then;
    if (fresh.innerHTML !== progress.innerHTML) progress.replaceWith(document.adoptNode(fresh)); // said aloud once
    if (ended) window.location.assign(then);
    else watch();
  } catch {
    setTimeout(watch, EVERY_MS * 5); // the network is away: the page itself stays usable
  }
}
