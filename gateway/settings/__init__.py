"""The operator's settings: from a YAML file and the environment to one frozen value.

model         the whole, and the rules between sections
tiktok        one section of it: keys, defaults, meanings, rules; a key is there only if the program acts on it
session       sessions and their cookie, return_to, cors
identity      what the app is told of a person
redis         the store
redis_url     what its URL may be
upstream      the apps behind the gateway
route         who may go where
limits        what is too much
forward_auth  where and how fronts ask
operator      admin, tokens, drain, log
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
interpolate   ${NAME}, ${NAME:-default}, ${file:PATH}
load          file + environment → Settings, or every problem at once
refusal       what the model refuses, in words for an operator
caution       what is allowed but unsafe
schema        the JSON Schema of the file
"""

from __future__ import annotations

from gateway.settings.caution import place, warnings
from gateway.settings.lists import load_lists
from gateway.settings.load import find, load, load_admin_listen
from gateway.settings.model import Settings
from gateway.settings.problem import Problem, SettingsProblems
from gateway.settings.route import RouteSettings
from gateway.settings.scalars import Listen
from gateway.settings.schema import json_schema
from gateway.settings.upstream import UpstreamSettings

__all__ = [
    "Listen",
    "Problem",
    "RouteSettings",
    "Settings",
    "SettingsProblems",
    "UpstreamSettings",
    "find",
    "json_schema",
    "load",
    "load_admin_listen",
    "load_lists",
    "place",
    "warnings",
]
