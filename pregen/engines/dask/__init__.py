"""Jobs spread over the nodes of a Dask cluster; on each of them the local engine does them."""
