// TikTok's answer has done its work, or never will: it does not stay in the address bar, the history and what is copied
// from there.
"use strict";
history.replaceState(null, "", location.pathname);
