// The handler of docs/how-to/express.md on a free port, with 203 users in memory in place of PostgreSQL.
//
// Prints `port N` once it listens. The server ends when its standard input is closed, so it never outlives the test
// that started it.
'use strict';

const express = require('express');

const BEGIN = Date.UTC(2025, 0, 1, 0, 0, 0, 123);
// Four users share each time.
const users = Array.from({ length: 203 }, (_, index) => {
  const id = index + 1;
  return { id, name: `user ${id}`, created_at: new Date(BEGIN + Math.floor(id / 4) * 60_000) };
});

// Runs the page's two queries: answers `SELECT *` and `SELECT count(*)` with WHERE, ORDER BY, LIMIT and OFFSET.
const pool = {
  async query(sql, values) {
    const where = [...sql.matchAll(/created_at (>=|<=) \$(\d)/g)];
    const found = users.filter((user) => where.every(([, operator, at]) => {
      const bound = new Date(values[at - 1]);
      if (Number.isNaN(bound.getTime())) throw new Error('invalid input syntax for type timestamp');
      return operator === '>=' ? user.created_at >= bound : user.created_at <= bound;
    }));
    if (sql.startsWith('SELECT count')) return { rows: [{ count: String(found.length) }] };
    const [, order, limit, offset] = sql.match(/ORDER BY (.*) LIMIT (\d+) OFFSET (\d+)$/);
    const keys = order.split(', ').map((key) => key.split(' '));
    found.sort((a, b) => {
      for (const [column, direction] of keys) {
        if (a[column] - b[column]) return direction === 'DESC' ? b[column] - a[column] : a[column] - b[column];
      }
      return 0;
    });
    return { rows: found.slice(Number(offset), Number(offset) + Number(limit)) };
  },
};

const app = express();
app.use((req, res, next) => {
  res.vary('Origin').set('Access-Control-Allow-Origin', 'https://app.example.com');
  res.cookie('seen', 'yes', { httpOnly: true });
  next();
});

// The rest of the handler is as the page shows it.
const COLUMNS = { created_at: "created_at", id: "id" };

app.get("/api/users", async (req, res) => {
  const limit = Math.min(Math.max(Number(req.query.limit) || 20, 1), 100);
  const page = Math.max(Number(req.query.page) || 1, 1);
  const order = String(req.query.sort ?? "-created_at,id").split(",")
    .map((key) => [COLUMNS[key.replace(/^-/, "")], key.startsWith("-") ? "DESC" : "ASC"])
    .filter(([column]) => column).map((pair) => pair.join(" ")).join(", ") || "id";
  const where = [], values = [];
  for (const [name, operator] of [["created_at__gte", ">="], ["created_at__lte", "<="]]) {
    if (req.query[name]) {
      values.push(req.query[name]);
      where.push(`created_at ${operator} $${values.length}`);
    }
  }
  const filter = where.length ? ` WHERE ${where.join(" AND ")}` : "";
  const sql = `SELECT * FROM users${filter} ORDER BY ${order} LIMIT ${limit} OFFSET ${(page - 1) * limit}`;
  const { rows } = await pool.query(sql, values);
  const { rows: [{ count }] } = await pool.query(`SELECT count(*) FROM users${filter}`, values);
  res.json({ data: rows, total: Number(count), page, limit });
});

app.get('/api/users/:id', (req, res) => {
  const user = users.find(({ id }) => String(id) === req.params.id);
  if (user) res.json(user);
  else res.status(404).json({ message: 'no such user' });
});
app.get('/admin/', (req, res) => res.send('<h1>the admin site</h1>'));
app.use((error, req, res, next) => res.status(500).json({ message: error.message }));

const listener = app.listen(0, '127.0.0.1', () => console.log(`port ${listener.address().port}`));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
