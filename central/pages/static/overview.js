// Live updates for the overview. ES2017; the page is complete without it.
(function () {
  'use strict';
  var box = document.getElementById('overview');
  var lost = document.getElementById('lost');
  var LOST_MS = 25000;
  var heard = Date.now();
  var source = null;
  var timer = null;

  async function refetch() {
    timer = null;
    try {
      var answer = await fetch(box.dataset.fragment, { cache: 'no-store' });
      if (answer.ok) box.innerHTML = await answer.text();
    } catch (error) {
      // The watchdog says so when it lasts.
    }
  }

  function soon() {
    if (timer === null) timer = setTimeout(refetch, 200);
  }

  function beat() {
    heard = Date.now();
    lost.hidden = true;
    soon();
  }

  function open() {
    if (source !== null) source.close();
    source = new EventSource(box.dataset.stream);
    source.addEventListener('alarm', soon);
    source.addEventListener('heartbeat', beat);
  }

  setInterval(function () {
    if (document.hidden || Date.now() - heard < LOST_MS) return;
    lost.hidden = false;
    if (Date.now() - heard > LOST_MS * 2) heard = Date.now() - LOST_MS;
    open();
    soon();
  }, 5000);

  document.addEventListener('visibilitychange', function () {
    if (!document.hidden) {
      heard = Date.now();
      open();
      soon();
    } else if (source !== null) {
      source.close();
      source = null;
    }
  });

  open();
})();
