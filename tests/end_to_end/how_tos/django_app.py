"""The Django application of docs/how-to/django.md on SQLite, on a free port: 203 users, an admin site, detail pages.

    python django_app.py DIRECTORY

Stores its database in DIRECTORY and prints `port N` once it listens. The process ends when its standard input is closed,
so it never outlives the test that started it.
"""

import os
import pathlib
import sys
import threading
from datetime import datetime, timedelta, timezone

import django
import waitress
from django.conf import settings

DIRECTORY = pathlib.Path(sys.argv[1])
USERS = 203

settings.configure(
    ALLOWED_HOSTS=["people.internal", "api.example.com"],
    APPEND_SLASH=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / "how_to.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django_filters",
        "rest_framework",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    ROOT_URLCONF="__main__",
    SECRET_KEY="only-for-tests",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    TIME_ZONE="UTC",
    USE_TZ=True,
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import include, path  # noqa: E402
from django_filters.rest_framework import DjangoFilterBackend  # noqa: E402
from rest_framework.filters import OrderingFilter  # noqa: E402
from rest_framework.pagination import PageNumberPagination  # noqa: E402
from rest_framework.routers import DefaultRouter  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402
from rest_framework.viewsets import ModelViewSet  # noqa: E402


class User(models.Model):
    name = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        app_label = "people"
        indexes = [models.Index(fields=["-created_at", "id"], name="users_created_at_id")]


class UserSerializer(ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "name", "created_at"]


# The rest of the views is as the page shows it.
class Pages(PageNumberPagination):
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100


class UserViewSet(ModelViewSet):
    queryset = User.objects.all()
    serializer_class = UserSerializer
    pagination_class = Pages
    filter_backends = [DjangoFilterBackend, OrderingFilter]
    filterset_fields = {"created_at": ["lt", "lte", "gt", "gte"]}
    ordering_fields = ["created_at", "id"]
    ordering = ["-created_at", "id"]


router = DefaultRouter()
router.register("users", UserViewSet)
urlpatterns = [path("admin/", admin.site.urls), path("api/", include(router.urls))]


def fill():
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(User)
    begin = datetime(2025, 1, 1, microsecond=123456, tzinfo=timezone.utc)
    # Four users share each time.
    User.objects.bulk_create(
        User(id=number, name=f"user {number}", created_at=begin + timedelta(minutes=number // 4))
        for number in range(1, USERS + 1)
    )
    connection.close()


def end_with_standard_input():
    sys.stdin.read()
    os._exit(0)


def main():
    from django.core.wsgi import get_wsgi_application

    fill()
    server = waitress.create_server(get_wsgi_application(), listen="127.0.0.1:0", threads=8)
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    print(f"port {server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
