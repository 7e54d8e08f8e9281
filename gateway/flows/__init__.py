"""What happens over time: sign-in, sessions, grants, refresh. Talks to the world through `ports` only.

ports             what the flows need of the store and of TikTok

sign_in           to TikTok and back
visitor           who comes back
attempts          sign-ins under way, as kept in the store
earlier_scopes    what was given before, and is not asked for now
sign_in_report    what is counted and announced of that
qr_sign_in        the same by a code that a phone scans
attempt_limit     how many may begin
kept_posts        the form that somebody had sent before they were asked to sign in

sessions          who is signed in, as kept in the store
touches           who is seen is written down, behind the answer
session_index     which of them a person has
record_form       how they are written while an earlier version runs beside this one
refresh           access tokens are renewed ahead of need, by one process
refresh_attempts  what processes tell each other of that
device_binding    sessions are bound to devices, which prove that they hold their keys
device_proofs     whether a request comes from there
authentication    from a request's cookie to session, grant and token

gate              whether a request may pass
memory            whom it knows without asking the store
live              what has passed and is under way ends when it may no longer

sign_out          a session ends because the person says so
disconnect        the grant ends, here and at TikTok
webhook           TikTok tells that it has ended, and other events
webhook_log       the last of them, for operators
outbox            what has to be done in the end, even if TikTok or the app is away now

token_desk        access tokens for an app's own jobs
person_tokens     and for an app in this process, while somebody is signed in
sign_in_hook      an app in this process is told of sign-ins
oversight         what an operator sees and ends
audit             what is announced of all that, and in whose name
listing           sessions and grants in pages, however many there are
operator_sign_in  who may see that, in a browser
wrong_keys        how often one may guess
inspection        what `gateway doctor` looks at
"""
