# Build stage: everything, including development packages.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig*.json ./
COPY src ./src
COPY scripts/bundle-program.js scripts/bundle-inspector.js ./scripts/
COPY models/evaluation/prompts ./models/evaluation/prompts
COPY models/rewards ./models/rewards
COPY docs/pictures/beam.fairlead.jsonl ./docs/pictures/
RUN npm run build

# Runtime stage: the build and its packages. One volume caches the model, downloaded on first start; the other is the data directory.
FROM node:20-bookworm-slim
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
COPY --from=build /app/dist/fairlead ./dist/fairlead
COPY --from=build /app/dist/src/inspector/page ./dist/src/inspector/page
COPY models ./models
RUN mkdir -p /var/cache/fairlead /var/lib/fairlead && chown node:node /var/cache/fairlead /var/lib/fairlead
USER node
# Reachable from outside: without FAIRLEAD_API_KEYS or FAIRLEAD_ADMIN_KEYS the server warns, and refuses admin calls.
ENV FAIRLEAD_HOST=0.0.0.0 FAIRLEAD_CACHE_DIR=/var/cache/fairlead FAIRLEAD_DATA_DIR=/var/lib/fairlead
VOLUME /var/cache/fairlead /var/lib/fairlead
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s CMD node -e "fetch('http://127.0.0.1:8000/health').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
CMD ["node", "dist/fairlead/fairlead.js", "serve"]
