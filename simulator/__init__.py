"""Both providers on the wire, in accelerated time, with books of what they bill. Imports no service."""
