"""The backend Django loads for ENGINE = "config.db"."""

from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper

from config.db.features import DatabaseFeatures


class DatabaseWrapper(PostgresWrapper):
    features_class = DatabaseFeatures
