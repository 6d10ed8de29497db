"""A look inside a trained network, by the methods of the lectures.

`filters`, `gradients`, `ascent`, `patches` and `neighbours` hold one method each, arrays in and arrays out; `layers`
and `receptive` find their way in a Keras model; `figures` turns arrays into figures; `look` does it all for one input.
Inputs are float32 as the network takes them: images (height, width, channels) with values 0..1, signals
(length, channels).
"""
