"""Sans-IO core: values in, values out. No clock, no socket, no environment, no log.

A request, read
    fields         header fields as lists of pairs
    request        its head, and what of a head is refused
    message_end    where it ends in the bytes of a connection
    names          names of fields that no client may send
    path           the one form of a path
    forwarded      who asks, and for which host, when other proxies stand in front
    proxy_protocol  what a balancer says first, of whom a connection is for
    original       the request that a front asks about (forward-auth)
    cookies        ours are found and taken out, the app's stay as they are
    challenge      a navigation or a call, from our pages or another site's
    htmx           requests of a script that puts answers into the page
    language       what its sender reads
    in_app         browsers inside other apps
    user_agent     browsers and systems, by name

Who may go where
    route          a rule of access, as a value
    policy         the first route that matches decides
    spelling       their patterns, and what an app may take a path for
    requirement    scopes, lists, facts about a creator
    decision       what comes of it
    cors           scripts of other origins
    webdav         the second address of a request
    lint           routes that are probably not meant

To the app, and back
    identity       what it is told of a person
    assertion      the same, signed
    headers        what goes in
    response       what comes out
    addresses      what it says of its own addresses, for a browser
    frames         where a WebSocket's frames begin and end

Sign-in
    authorization  what TikTok is asked for, and the attempt that is kept of it
    pkce           proof that who redeems is who asked
    binding        the cookies that bind an attempt to its browser
    sign_in        attempt, state and callback, in the one safe order
    review         what TikTok's app review looks at
    qr_code        what TikTok says of a code that a phone scans
    urls           where a sign-in may return to
    kept_post      a form that was sent without a session
    tiktok         TikTok's protocol as pure functions
    scopes         its scopes, in words for people
    redirect_uri   its rules for redirect URIs
    webhook        its webhooks

What is kept
    session        one browser that is signed in
    device_key     the key of the device that it is bound to
    device_proof   what that key signs
    device_binding  what is offered to be signed, and what stands for a proof
    grant          what one person granted: tokens, scopes, profile
    record         sealed, as it is stored
    deflated       texts of which most is always the same
    keyring        the sealing
    audit          events for those who ask later who did what
    operator_session  an operator's cookie, sealed
    certificate    what is wrong with one, and its key
    finding        what an inspection found, for the operator
"""
