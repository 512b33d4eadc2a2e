// Asks for the same page again every few seconds and puts the new content in the old one's place: the page does
// not scroll, and whoever reads, types or has paused is not disturbed. Without this file all is there, and still.
(function () {
  "use strict";
  var EVERY_MS = 5000;
  var KEY = "unhurried-paused";
  var live = document.getElementById("unhurried-live");
  if (!live || !window.fetch) { return; }

  function paused() {
    try { return window.localStorage.getItem(KEY) === "1"; } catch (error) { return false; }
  }

  function pause(yes) {
    try { window.localStorage.setItem(KEY, yes ? "1" : "0"); } catch (error) { /* not remembered */ }
  }

  function dress() {
    document.querySelectorAll("[data-unhurried-pause]").forEach(function (button) {
      button.hidden = false;
      button.textContent = paused() ? "Go on" : "Pause";
      button.setAttribute("aria-pressed", paused() ? "true" : "false");
    });
  }

  function touched() {
    return Array.from(live.querySelectorAll("input:not([type=hidden]), select")).some(function (one) {
      return one.tagName === "SELECT" ?
        Array.from(one.options).some(function (option) { return option.selected && !option.defaultSelected && one.selectedIndex > 0; }) :
        one.value !== one.defaultValue;
    });
  }

  function busy() {
    var focus = document.activeElement;
    var chosen = window.getSelection();
    return paused() || document.hidden || touched() || live.querySelector("details[open]") ||
      (focus && live.contains(focus) && /^(INPUT|SELECT|TEXTAREA)$/.test(focus.tagName)) ||
      (chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode));
  }

  function say(text) {
    document.querySelectorAll("[data-unhurried-age]").forEach(function (place) { place.textContent = text; });
    document.querySelectorAll(".refresh-status .status-dot").forEach(function (dot) {
      dot.className = "status-dot status-dot-error";
    });
  }

  function refresh() {
    if (busy()) { return; }
    fetch(window.location.href, {credentials: "same-origin"}).then(function (reply) {
      return reply.text();
    }).then(function (html) {
      var fresh = new DOMParser().parseFromString(html, "text/html").getElementById("unhurried-live");
      if (!fresh) { say("Flower answers with another page: load this one again"); return; }
      if (busy()) { return; }
      live.replaceChildren.apply(live, Array.from(fresh.childNodes));
      dress();
    }).catch(function () { say("Flower does not answer; this is how it was"); });
  }

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-unhurried-pause]")) { pause(!paused()); dress(); refresh(); }
  });
  dress();
  window.setInterval(refresh, EVERY_MS);
}());
