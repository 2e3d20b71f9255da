"""Runs the official client from PyPI: lists the tools, walks a list to its end by one tool, and calls tools wrongly.

    python walk.py legacy|auto URL TOOL ARGUMENTS
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client


async def main(mode, url, tool, arguments):
    http = httpx2.AsyncClient(headers={"Authorization": "Bearer one"}, trust_env=False, timeout=60)
    async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        tools, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        items, pages, totals, levels, cursor = [], 0, [], [], ""
        while cursor is not None:
            result = await client.call_tool(tool, arguments | ({"cursor": cursor} if cursor else {}))
            assert not result.is_error, result
            content = result.structured_content
            assert json.loads(result.content[0].text) == content
            items += content["items"]
            pages += 1
            totals.append(content["total"])
            levels.append(content["level"])
            cursor = content["nextCursor"]
        wrong = await client.call_tool(tool, {"limit": "many"})
        try:
            await client.call_tool("list_nothing", {})
            unknown = None
        except MCPError as error:
            unknown = error.error.code
        said = {
            "server": client.server_info.name if client.server_info else None,
            "version": client.protocol_version,
            "tools": [{"name": tool.name, "description": tool.description} for tool in tools],
            "items": items,
            "pages": pages,
            "totals": totals,
            "levels": levels,
            "wrong": {"isError": wrong.is_error, "text": wrong.content[0].text},
            "unknown": unknown,
        }
        print(json.dumps(said))


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])))
