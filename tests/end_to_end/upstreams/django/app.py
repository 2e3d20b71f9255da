"""A Django REST framework application on SQLite, on a free port: 1,003 users and some of their orders.

    python app.py DIRECTORY

Stores its database in DIRECTORY and prints `port N` once it listens. `GET /__count` returns the number of all other
requests. The process ends when its standard input is closed, so it never outlives the test that started it.
"""

import os
import pathlib
import sys
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import django
import waitress
from django.conf import settings

DIRECTORY = pathlib.Path(sys.argv[1])
USERS = 1003
# Users share a timestamp in runs of this length, so `created_at` doesn't order them without another key.
TIE_RUN = 4
# user id -> number of the user's orders
ORDERS = {7: 57, 8: 20, 9: 0}

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / "upstream.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["__main__.count_requests", "django.middleware.common.CommonMiddleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
    ROOT_URLCONF="__main__",
    SECRET_KEY="only-for-tests",
    # Times are written with this zone's offset, and the data spans its change to summer time, where the order of the
    # strings differs from the order of the times.
    TIME_ZONE="Europe/Berlin",
    USE_TZ=True,
)
django.setup()

from django.db import connection, models  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import filters, generics, pagination, serializers  # noqa: E402


class User(models.Model):
    name = models.TextField()
    email = models.TextField()
    team = models.TextField()
    balance = models.DecimalField(max_digits=30, decimal_places=2)
    score = models.FloatField(null=True)
    ledger = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        app_label = "people"


class Order(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="orders")
    amount = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        app_label = "people"


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "name", "email", "team", "balance", "score", "ledger", "created_at"]


class OrderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Order
        fields = ["id", "user", "amount"]


class Pages(pagination.PageNumberPagination):
    page_size = 25
    page_size_query_param = "page_size"
    max_page_size = 100


class Users(generics.ListCreateAPIView):
    serializer_class = UserSerializer
    pagination_class = Pages
    filter_backends = [filters.OrderingFilter]
    ordering_fields = ["created_at", "email", "id"]
    ordering = ["-created_at", "id"]

    def get_queryset(self):
        team = self.request.query_params.get("team")
        return User.objects.filter(team=team) if team else User.objects.all()


class Cursors(pagination.CursorPagination):
    page_size = 20
    # The default of most views: users with equal times have no defined order.
    ordering = "-created_at"


class UsersByCursor(generics.ListAPIView):
    serializer_class = UserSerializer
    pagination_class = Cursors
    queryset = User.objects.all()


class Orders(generics.ListAPIView):
    serializer_class = OrderSerializer
    pagination_class = Pages
    filter_backends = [filters.OrderingFilter]
    ordering_fields = ["id"]
    ordering = ["id"]

    def get_queryset(self):
        return Order.objects.filter(user_id=self.kwargs["user"])


class Counter:
    def __init__(self):
        self.lock = threading.Lock()
        self.requests = 0

    def add(self):
        with self.lock:
            self.requests += 1


counter = Counter()


def count_requests(respond):
    def middleware(request):
        if request.path == "/__count":
            return JsonResponse({"requests": counter.requests})
        counter.add()
        return respond(request)

    return middleware


urlpatterns = [
    path("api/users/", Users.as_view()),
    path("api/users/by-cursor/", UsersByCursor.as_view()),
    path("api/users/<int:user>/orders/", Orders.as_view()),
]


def user(number):
    names = ["Ada", "Zoë", "Łukasz", "名前", 'O\'Brien "the 2nd"', "back\\slash", "emoji 🦀", "a/b", "line\nbreak"]
    step = (number * 7919) % USERS // TIE_RUN
    created = datetime(2024, 3, 26, tzinfo=timezone.utc) + timedelta(hours=step, microseconds=step % 3 * 123456)
    return User(
        id=number,
        name=f"{names[number % len(names)]} {number}",
        email=f"user{number}@example.com",
        team=["red", "green", "blue"][number % 3],
        balance=Decimal(number) * Decimal("1234567890.25"),
        score=None if number % 4 == 0 else float(number),
        ledger=9007199254740993 + number,
        created_at=created,
    )


def fill():
    with connection.schema_editor() as editor:
        editor.create_model(User)
        editor.create_model(Order)
    User.objects.bulk_create(user(number) for number in range(1, USERS + 1))
    Order.objects.bulk_create(
        Order(user_id=owner, amount=Decimal(number * 37 % 500) / 4)
        for owner, count in ORDERS.items()
        for number in range(count)
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
