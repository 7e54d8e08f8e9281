// Browsers keep the part after "#" to themselves, over redirects too (RFC 9110 section 10.2.2): the page with the button
// still has it. It goes on as the end of `rd`, which is the last parameter of the link.
"use strict";
const start = document.getElementById("start");
if (start && location.hash && !start.href.includes("%23")) {
  start.href += encodeURIComponent(location.hash);
}
