"""Reading tables for every audit: CSV, TSV, JSON, JSON Lines and Parquet, by columns, with every problem named."""
