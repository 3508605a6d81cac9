"""The Airflow provider: operators over the library, no logic of their own."""
