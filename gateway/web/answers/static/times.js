// Moments stand in UTC, for who runs no scripts; here they become those of the reader's own clock.
"use strict";
const how = new Intl.DateTimeFormat(document.documentElement.lang, {dateStyle: "long", timeStyle: "short"});
for (const each of document.querySelectorAll("time")) {
  each.textContent = how.format(new Date(each.dateTime));
}
