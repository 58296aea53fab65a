"""How well a model understands what people say: phrasing files against the real pipeline."""
