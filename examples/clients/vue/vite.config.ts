import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// The list is asked for at the origin of the page, which passes it on to the gateway: so it needs no CORS.
const proxy = { "/users": process.env["GATEWAY"] ?? "http://127.0.0.1:8080" };

export default defineConfig({ plugins: [vue()], server: { proxy } });
