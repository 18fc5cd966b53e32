"""Published deep networks of recurrent cells with pointwise layers between them."""
