// Asks how far the phone is, and shows the page anew once that has changed. Browsers of TVs are old: no fetch, no arrows.
"use strict";
(function () {
  var shown = document.getElementById("qr");
  if (!shown) { return; }
  function ask() {
    var request = new XMLHttpRequest();
    request.open("GET", shown.getAttribute("data-ask"));
    request.timeout = 30000;
    request.onload = function () {
      var status = "";
      try { status = JSON.parse(request.responseText).status || ""; } catch (problem) { status = ""; }
      if (status && status !== shown.getAttribute("data-status")) {
        location.replace(location.href);
      } else {
        setTimeout(ask, 2000);
      }
    };
    request.onerror = request.ontimeout = function () { setTimeout(ask, 5000); };
    request.send();
  }
  setTimeout(ask, 1000);
})();
