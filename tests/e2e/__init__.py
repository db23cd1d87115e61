"""The whole way from recorded captures of real exchanges to what is expected of them."""
