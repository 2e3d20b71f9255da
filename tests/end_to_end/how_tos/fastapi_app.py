"""The FastAPI application of docs/how-to/fastapi.md on SQLite, on a free port: 203 users and detail pages.

    python fastapi_app.py DIRECTORY

Stores its database in DIRECTORY and prints `port N` once it listens. The process ends when its standard input is closed,
so it never outlives the test that started it.
"""

import os
import socket
import sys
import threading
from datetime import datetime, timedelta

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_pagination import Page, add_pagination
from fastapi_pagination.ext.sqlalchemy import paginate
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Index, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

USERS = 203


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column()
    __table_args__ = (Index("users_created_at_id", created_at.desc(), "id"),)


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    name: str
    created_at: datetime


engine = create_engine(f"sqlite:///{sys.argv[1]}/how_to.sqlite3")
app = FastAPI()
app.add_middleware(GZipMiddleware)
app.add_middleware(CORSMiddleware, allow_origins=["https://app.example.com"], allow_credentials=True)

# The endpoint is as the page shows it.
COLUMNS = {"id": User.id, "created_at": User.created_at}


@app.get("/api/users")
def users(sort: str = "-created_at,id") -> Page[UserOut]:
    keys = [key for key in sort.split(",") if key.lstrip("-") in COLUMNS]
    order = [COLUMNS[key[1:]].desc() if key.startswith("-") else COLUMNS[key] for key in keys]
    with Session(engine) as session:
        return paginate(session, select(User).order_by(*order))


@app.get("/api/users/{number}")
def user(number: int) -> UserOut:
    with Session(engine) as session:
        if found := session.get(User, number):
            return UserOut.model_validate(found)
    raise HTTPException(404)


@app.get("/admin/")
def admin() -> str:
    return "the admin site"


add_pagination(app)


def fill():
    Base.metadata.create_all(engine)
    begin = datetime(2025, 1, 1, microsecond=123456)
    with Session(engine) as session:
        # Four users share each time.
        session.add_all(
            User(id=number, name=f"user {number}", created_at=begin + timedelta(minutes=number // 4))
            for number in range(1, USERS + 1)
        )
        session.commit()


def end_with_standard_input():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    fill()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    print(f"port {listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
