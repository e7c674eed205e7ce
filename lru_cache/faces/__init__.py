"""What caches of frameworks stand on: nodes of this process, copies for who asks, pickles that are signed.

    face.py      Face: what one framework calls things, takes and refuses
    nodes.py     which caches of this process stand behind them: one for each place and options
    places.py    what a location stands for
    codecs.py    what codecs of frameworks' classes have in common
    copying.py   copies for who asks, made quickly
    pickled.py   what the application wants pickled, and who may make such

Nothing here knows a framework. django/, cachelib.py, flask/ and dogpile/ are users of this, and nothing else is.
"""
