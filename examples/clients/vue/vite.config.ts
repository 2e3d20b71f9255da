import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// The page requests the list from its own origin, and Vite's proxy passes the requests to the gateway, so CORS isn't
// needed.
const proxy = { "/users": process.env["GATEWAY"] ?? "http://127.0.0.1:8080" };

export default defineConfig({ plugins: [vue()], server: { proxy } });
