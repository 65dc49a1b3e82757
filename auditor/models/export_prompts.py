"""Prompts on which a written model is compared with the one it was written from."""

#: What is read by both; the longer ones end where they have been before, which is found by position.
PROMPTS = (
    (
        "She opened the door and saw that the garden had changed overnight: the old wall was gone, the roses stood in rows, and "
        "a man she had never seen before was painting the gate green. Years later she always began with the same words: she "
        "opened the door and saw that the"
    ),
    (
        "Rooms of the house and what was found in each. Kitchen: a copper kettle. Cellar: nine barrels. Attic: a broken cradle. "
        "Study: letters in French. Hall: one glove. Again, in the same order. Kitchen: a copper kettle. Cellar: nine barrels. "
        "Attic: a broken"
    ),
    "Question: Who wrote the letters that were found in the study?\nAnswer:",
    "Question: What is the capital of France?\nAnswer:",
    "The three primary colours are red, blue and",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,",
    "def add(a, b):\n    return a +",
    "Once upon a time there was a",
    "Water boils at a temperature of",
    "Decide whether the review is positive or negative.\n\nReview: a warm, funny and moving film.\nAnswer:",
    "Monday, Tuesday, Wednesday,",
    "To whom it may concern: I am writing to",
    "The opposite of hot is",
    "In the beginning",
    "Dear Sir or Madam,\n\nthank you for your letter of the",
    "The recipe needs two eggs, a cup of flour and",
    "He said that he would come, but he never",
    "London is the capital of England. Berlin is the capital of Germany. Rome is the capital of",
    "A",
    "It was the best of times, it was the",
)
