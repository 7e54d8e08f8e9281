"""The operator's settings: from a YAML file and the environment to one frozen value.

model         the whole, and the rules between sections
tiktok        one section of it: keys, defaults, meanings, rules; a key is there only if the program acts on it
session       sessions and their cookie, return_to, cors
identity      what the app is told of a person
redis         the store
redis_url     what its URL may be
upstream      the apps behind the gateway
route         who may go where
brand         whose site it is
limits        what is too much
listening     where to listen, and how
tls           the gateway's own certificate
forward_auth  where and how fronts ask
operator      admin, tokens, drain, log
audit         who did what
headers       rules of the headers that name a person
lists         files of words: allow-lists
section       what sections have in common
scalars       the small types that they are made of: durations, sizes, addresses
problem       what is wrong with a file, and where
origin        where each key was written
secret        the types of what must never be shown
keys          which keys there are, and which are secrets

yaml_file     reads YAML with the place of every key
yaml_value    what stands in it
yaml_words    why it is no YAML, in words for an operator
excerpt       a line of it, without secrets
interpolate   ${NAME}, ${NAME:-default}, ${file:PATH}
keywords      the same as keyword arguments of a program, for type checkers; written from the model
program       what a program says itself, as plain values
load          file + environment + keywords → Settings, or every problem at once
provenance    what is in force, and where each value comes from
refusal       what the model refuses, in words for an operator
caution       what is allowed but unsafe
listening_caution   of where it listens
schema        the JSON Schema of the file
"""

from __future__ import annotations

from gateway.settings.caution import place, warnings
from gateway.settings.keywords import SettingsKeywords
from gateway.settings.listening import Listen, ListenerSettings
from gateway.settings.lists import load_lists
from gateway.settings.load import find, load, load_admin, load_admin_listen
from gateway.settings.model import Settings
from gateway.settings.problem import Problem, SettingsProblems
from gateway.settings.provenance import describe
from gateway.settings.refusal import show_path
from gateway.settings.route import RouteSettings
from gateway.settings.schema import json_schema
from gateway.settings.tls import TlsSettings
from gateway.settings.upstream import UpstreamSettings

__all__ = [
    "Listen",
    "ListenerSettings",
    "Problem",
    "RouteSettings",
    "Settings",
    "SettingsKeywords",
    "SettingsProblems",
    "TlsSettings",
    "UpstreamSettings",
    "describe",
    "find",
    "json_schema",
    "load",
    "load_admin",
    "load_admin_listen",
    "load_lists",
    "place",
    "show_path",
    "warnings",
]
