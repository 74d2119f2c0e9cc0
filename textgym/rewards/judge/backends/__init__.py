"""Who a judge asks: a model in this process (``local``), a server (``openai``), or a function of yours (``base``)."""
