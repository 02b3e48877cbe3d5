"""Runs one of Pipecat's own example bots, its OpenAI Realtime service at JUDGE_URL. In the judge's own environment.

client_pipecat_bot.py BOT.py -t eval --port PORT
"""

from __future__ import annotations

import functools
import os
import re
import runpy
import sys

from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService as Service
from pipecat.utils import string

string._sent_tokenizer = lambda: functools.partial(re.split, r"(?<=[.!?])\s+")
Service.__init__ = functools.partialmethod(Service.__init__, base_url=os.environ["JUDGE_URL"])

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
