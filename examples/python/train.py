"""Trains the model and writes it as model.json: python train.py

Naive Bayes on a few messages, in plain Python. Put the training of your own model here.
"""

import json
import math
from collections import Counter
from pathlib import Path

from predictor import words

SPAM = [
    "win a free prize now, click here",
    "claim your free gift card today",
    "cheap loans, no credit check, apply now",
    "you have won the lottery, send your bank details",
    "limited offer, buy now and save money",
    "earn money fast from home, click now",
    "free trial, claim your prize",
    "urgent, your account is locked, click the link",
]
GOOD = [
    "are we still on for lunch today",
    "the meeting moves to three, see you there",
    "can you send me the slides from the meeting",
    "happy birthday, see you at the party",
    "I will be home late, dinner is in the fridge",
    "thanks for your help with the report",
    "the train is late, start without me",
    "could you look at my code before lunch",
]


def train():
    """The weight of each word: how much more often it is in spam, as a logarithm."""
    spam, good = (Counter(word for text in texts for word in set(words(text))) for texts in (SPAM, GOOD))
    odds = {word: (spam[word] + 0.5) / (good[word] + 0.5) for word in sorted({*spam, *good})}
    return {word: round(math.log(ratio), 3) for word, ratio in odds.items()}


if __name__ == "__main__":
    Path(__file__).with_name("model.json").write_text(json.dumps(train(), indent=0) + "\n")
